// SPDX-License-Identifier: Apache-2.0
// A tree for mkdaxfs that no disk has to hold: owners, devices, attributes of every namespace and
// files of any size, whoever runs the tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "source.hpp"

namespace daxtest {

struct MemoryFile {
    std::uint32_t mode = 0100644; // with the type
    std::string content = {};     // of a regular file, or a symlink's target
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::pair<std::string, std::string>> xattrs = {}; // full names
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    /// More of a regular file at further offsets; what lies between reads as 0.
    std::map<std::uint64_t, std::string> pieces = {};
    std::uint64_t size = 0; // 0: up to the last byte given
};

/// By path without a leading slash; "" is the root. Folders that are missing are made.
using MemoryTree = std::map<std::string, MemoryFile>;

/// Grows the file with zeros to a multiple of 2 MiB.
void pad_image(const std::filesystem::path &image);
/// mkdaxfs over the tree, padded to whole 2 MiB as virtio-pmem wants it.
void make_image(const MemoryTree &tree, const std::filesystem::path &image);

} // namespace daxtest
