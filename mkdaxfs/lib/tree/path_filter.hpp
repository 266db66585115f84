// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace daxfs {

// What is to be left out of a tree. Of all patterns that match a path the last one decides; what is below a
// directory that is left out is not asked for. Copies know together which patterns have matched.
class PathFilter {
public:
    // A Glob; with "!" in front, what it matches is kept. Throws std::invalid_argument when it is none.
    void add_glob(const std::string &glob);
    // A glob a line. Empty lines and those that begin with "#" do not count, nor do blanks at the end of a
    // line without a backslash before them. Throws with the line that is wrong; the name is for messages.
    void add_globs(std::istream &lines, const std::string &name);
    // A POSIX extended regular expression, searched in the path from the root (without a
    // leading slash). Throws std::invalid_argument when it is none.
    void add_regex(const std::string &expression);

    bool empty() const { return patterns_.empty(); }
    // Is this path (relative to the root) to be left out? Its parents are not looked at.
    bool excludes(const std::string &path) const;
    // The same, or is one of the directories above it?
    bool excludes_or_above(std::string_view path) const;
    // As they were given: those that no path has matched so far.
    std::vector<std::string> unmatched() const;

private:
    struct Pattern;
    void add(const std::string &glob, std::string shown);

    std::vector<std::shared_ptr<const Pattern>> patterns_;
};

} // namespace daxfs
