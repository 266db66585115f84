// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "image_reader.hpp"

namespace daxfs {

// One name in an image.
struct WalkEntry {
    std::string path; // from the root, without a leading slash; "" for the root
    std::uint32_t ino = 0;
    daxfs_attr attr = {};
    std::string first; // the path met before, when this is a further hard link; else ""
};

// Is an entry to be visited, given that the directory above is?
using WalkFilter = std::function<bool(const std::string &path, std::uint32_t ino, bool is_dir)>;

// Every name, parents first, the entries of a directory in name order. Ends whatever the
// image says: a directory met a second time is an ImageError, as are names that are no
// name ("..", "a/b") and paths that lead deeper than there are inodes.
void walk_image(const ImageReader &reader, const std::function<void(const WalkEntry &)> &visit,
                const WalkFilter &filter = {});
// The same of a directory and what is below it; `path` is its own.
void walk_directory(const ImageReader &reader, const std::string &path, std::uint32_t ino,
                    const std::function<void(const WalkEntry &)> &visit);

// The entries of one directory, sorted by name.
std::vector<std::pair<std::string, std::uint32_t>> sorted_entries(const ImageReader &reader,
                                                                  const daxfs_node &dir);

} // namespace daxfs
