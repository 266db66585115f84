// SPDX-License-Identifier: Apache-2.0
// Which files of a mounted tree a workload works on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol.hpp"

namespace daxbench {

struct SelectedFile {
    std::string path; // absolute
    std::uint64_t size = 0;
    bool regular = false;
};

/// Every entry below ROOT on the same file system, sorted by the bytes of the path.
std::vector<SelectedFile> list_tree(const std::string &root);

/// The regular files of TREE, of each inode one name.
std::vector<SelectedFile> distinct_files(const std::vector<SelectedFile> &tree);

/// WORKLOAD's "file": "large" (default; one file), "small" (regular files of 1 to 65,536 bytes) or
/// "all" (every entry), or a path below ROOT. "limit" keeps that many, spread evenly over the
/// order. Throws when nothing fits.
std::vector<SelectedFile> select_files(const std::string &root, const json &workload);

} // namespace daxbench
