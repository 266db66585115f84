// SPDX-License-Identifier: Apache-2.0
// Patterns for paths of a tree, as --exclude and --rules have them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace daxfs {

// Without a slash it is matched against each name, with one against the path from the root. "*", "?" and
// "[...]" are as in fnmatch(3) and never match a slash; a part that is "**" matches any number of
// directories, none too, and as the last part all that is below. A slash at the end, "." and double slashes
// do not count, "./" in front is the root.
class Glob {
public:
    // Throws std::invalid_argument for what can match nothing: "..", a backslash at the end, or nothing at
    // all.
    explicit Glob(std::string_view text);

    // The path is relative to the root. Call it in the locale "C": trees hold bytes.
    bool matches(const std::string &path) const;

private:
    std::string pattern_;
    bool is_path_ = false;
    std::vector<std::string> parts_; // where one of them is "**", else empty
};

} // namespace daxfs
