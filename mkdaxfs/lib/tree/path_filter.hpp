// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace daxfs {

// What is to be left out of a tree.
class PathFilter {
public:
    // A glob as in fnmatch(3): one without a slash is matched against each name, one with
    // a slash against the path from the root. A slash at the end, "." and double slashes do not
    // count, "./" in front is the root. Throws when nothing is left and for "..".
    void add_glob(const std::string &glob);
    // A POSIX extended regular expression, searched in the path from the root (without a
    // leading slash). Throws when it is none.
    void add_regex(const std::string &expression);

    bool empty() const { return globs_.empty() && regexes_.empty(); }
    // Is this path (relative to the root) to be left out? Its parents are not looked at.
    bool excludes(const std::string &path) const;
    // The same, or is one of the directories above it?
    bool excludes_or_above(std::string_view path) const;

private:
    struct Regex;
    std::vector<std::string> globs_;
    std::vector<std::shared_ptr<const Regex>> regexes_;
};

} // namespace daxfs
