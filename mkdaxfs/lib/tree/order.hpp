// SPDX-License-Identifier: Apache-2.0
// The order that file data is to lie in, from a recorded access trace.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "tree.hpp"

namespace daxfs {

// The paths that are listed, one a line, percent-coded where needed; empty lines and those that
// begin with # do not count. Throws when a line is wrong; the name is for messages.
std::vector<std::string> read_order(std::istream &list, const std::string &name);

struct FileOrder {
    std::vector<NodeId> files; // each once, the first to be used first
    std::uint64_t unknown = 0; // paths that name no regular file of the tree
};

// Looks the paths up in a tree that has been finished. No symbolic link is followed.
FileOrder find_files(const Tree &tree, const std::vector<std::string> &paths);

} // namespace daxfs
