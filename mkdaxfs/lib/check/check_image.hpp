// SPDX-License-Identifier: Apache-2.0
// The full check of an image that the reader's checks at use do not replace.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "image_reader.hpp"
#include "workers.hpp"

namespace daxfs {

struct Problem {
    std::uint64_t ino = 0; // 0: the superblock or the whole image
    std::string path;      // of the inode, as messages show it; "" for none
    std::string text;      // one line
};

// With an image that holds digests every file's data is read and compared, by as many
// threads as workers has. Walks every inode, directory entry, extent and attribute, and compares checksums,
// link counts and totals. Calls report for each problem; returns how many there were.
// About 14 bytes of memory for each inode and 24 for each run of data.
std::uint64_t check_image(const ImageReader &reader, const std::function<void(const Problem &)> &report,
                          const Workers &workers = {});

} // namespace daxfs
