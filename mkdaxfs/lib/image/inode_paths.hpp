// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image_reader.hpp"

namespace daxfs {

// A path of each inode, for messages about it. Reads all directories at the first question, and takes
// 8 bytes an inode then: nobody asks of an image that is in order.
class InodePaths {
public:
    explicit InodePaths(const ImageReader &reader) : reader_(reader) {}

    // As messages show it, the first of several; "" where no readable entry names the inode. What is too
    // long, or does not begin at the root, begins with "…/".
    std::string shown(std::uint64_t ino);

private:
    struct Name {
        std::uint32_t dir = 0; // 0: none
        std::uint32_t entry = 0;
    };

    void read();
    void read_directory(std::uint32_t ino);

    const ImageReader &reader_;
    std::vector<Name> names_; // by inode number
};

} // namespace daxfs
