// SPDX-License-Identifier: Apache-2.0
// What docs/format.md forbids and no reader trips over, so that only a check finds it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "image_reader.hpp"

namespace daxfs {

using Complain = std::function<void(const std::string& what)>;

// Pads, ranges and features of the superblock.
void check_super(const ImageReader& reader, const Complain& complain);

// Fields of an inode that mean nothing for its type.
void check_unused_fields(const ImageReader& reader, const daxfs_attr& attr, const Complain& complain);

// The bucket table and the pads of a directory.
void check_directory_record(const ImageReader& reader, const daxfs_attr& dir, const Complain& complain);

// The xattr set of an inode: order, names, ACLs.
void check_xattrs(const ImageReader& reader, const daxfs_attr& attr, const Complain& complain);

// Where the data of all files lies.
class DataRuns {
public:
    // The runs of a regular file, each one checked. Returns their blocks together, in bytes.
    std::uint64_t add(const ImageReader& reader, const daxfs_attr& file, const Complain& complain);
    // Runs that are neither apart nor the same: complain(inode, what). Returns whether some are the same.
    bool check_sharing(const std::function<void(std::uint64_t ino, const std::string& what)>& complain);

private:
    struct Run {
        std::uint64_t off;
        std::uint64_t len;
        std::uint32_t ino;
    };

    std::vector<Run> runs_;
};

}  // namespace daxfs
