// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "image_reader.hpp"

namespace daxfs {

// How an image's bytes are used. All sizes in bytes.
struct Layout {
    std::uint64_t superblock = 0;
    std::uint64_t metadata = 0;
    std::uint64_t data = 0;    // file data, each byte once, with the rest of its last block
    std::uint64_t padding = 0; // neither metadata nor data
    std::uint64_t shared = 0;  // what files would take besides if none shared blocks
    std::uint64_t holes = 0;   // of files, not stored
    std::uint64_t huge = 0;    // of files, mappable by 2 MiB pages
};

// Called for each file of at least 2 MiB with what of it 2 MiB pages can map.
using LargeFile = std::function<void(const std::string &path, std::uint64_t size, std::uint64_t huge)>;

Layout image_layout(const ImageReader &reader, const LargeFile &large);

// Bytes of a file that lie in aligned 2 MiB pages of file and image alike, given that the
// image itself starts at a multiple of 2 MiB.
std::uint64_t huge_bytes(const ImageReader &reader, const daxfs_node &file);

} // namespace daxfs
