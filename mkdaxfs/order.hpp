// SPDX-License-Identifier: Apache-2.0
// The order that file data is to lie in, from a recorded access trace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tree.hpp"

namespace daxfs {

// The paths that a file lists, one a line, percent-coded where needed; empty lines and those that
// begin with # do not count. Throws when it cannot be read or a line is wrong.
std::vector<std::string> read_order(const std::string& file);

struct FileOrder {
    std::vector<NodeId> files;   // each once, the first to be used first
    std::uint64_t unknown = 0;   // paths that name no regular file of the tree
};

// Looks the paths up in a tree that has been finished. No symbolic link is followed.
FileOrder find_files(const Tree& tree, const std::vector<std::string>& paths);

}  // namespace daxfs
