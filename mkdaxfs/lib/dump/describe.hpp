// SPDX-License-Identifier: Apache-2.0
// What dump.daxfs says of single inodes: all of one, or a line for each of a list.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include <nlohmann/json.hpp>

#include "image_reader.hpp"

namespace daxfs {

nlohmann::ordered_json describe(const ImageReader &reader, const std::string &path, std::uint32_t ino);

struct ListOptions {
    bool recursive = false;
    bool json = false;
};

// A directory's entries, with their names; what is none itself; with `recursive` the directory and all below
// it, with their paths from the root. Lines as ls -l has them, or each an object as describe() makes it: in
// lines an image of any size needs no memory, and what reads them can begin at once. Throws where nothing is
// at the path.
void list_tree(const ImageReader &reader, const std::string &path, const ListOptions &options,
               std::ostream &out);

} // namespace daxfs
