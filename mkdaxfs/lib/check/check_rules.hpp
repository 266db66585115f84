// SPDX-License-Identifier: Apache-2.0
// What docs/format.md forbids and no reader trips over, so that only a check finds it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "image_reader.hpp"
#include "workers.hpp"

namespace daxfs {

using Complain = std::function<void(const std::string &what)>;

// Pads, ranges and features of the superblock.
void check_super(const ImageReader &reader, const Complain &complain);

// Fields of an inode that mean nothing for its type.
void check_unused_fields(const ImageReader &reader, const daxfs_attr &attr, const Complain &complain);

// A directory's bucket table, its pads, and where its names lie.
void check_directory_record(const ImageReader &reader, const daxfs_attr &dir, const Complain &complain);

// The xattr set of an inode: order, names, ACLs, pads and size.
void check_xattrs(const ImageReader &reader, const daxfs_attr &attr, const Complain &complain);

// Where the data of all files lies.
class DataRuns {
public:
    // The runs of a regular file, each one checked. Returns their blocks together, in bytes.
    std::uint64_t add(const ImageReader &reader, const daxfs_attr &file, const Complain &complain);
    // After check_sharing(): what lies between the runs is 0.
    void check_gaps(const ImageReader &reader, const Workers &workers, const Complain &complain) const;
    // Runs that are neither apart nor the same: complain(inode, what). Returns whether some are the same.
    bool check_sharing(const std::function<void(std::uint64_t ino, const std::string &what)> &complain);

private:
    struct Run {
        std::uint64_t off = 0;
        std::uint64_t len = 0;
        std::uint32_t ino = 0;
    };

    // What a file has of the data.
    struct Data {
        Run last;                // its last run
        std::uint64_t begin = 0; // of that run, in the file
        std::uint64_t bytes = 0; // of all runs
    };

    const Data &list(const ImageReader &reader, const daxfs_node &node, const Complain &complain);

    std::vector<Run> runs_;
    std::map<std::pair<std::uint64_t, std::uint32_t>, Data> lists_; // by offset and count of extents
    bool shared_ = false;                                           // are some of them of two files?
};

// Bytes of the metadata that belong to something: apart from each other, with nothing but zeros between.
class UsedMetadata {
public:
    // The record, list, target or xattr set of an inode that could be read.
    void add(const ImageReader &reader, const daxfs_attr &attr);
    // Inode 0 is none.
    void check(const ImageReader &reader, const Workers &workers,
               const std::function<void(std::uint64_t ino, const std::string &what)> &complain);

private:
    struct Span {
        std::uint64_t off;
        std::uint64_t len;
        std::uint32_t ino;
        bool may_be_shared;
    };

    void add_once(const Span &span);

    std::vector<Span> spans_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> known_;
};

// Are these bytes of the image, which nothing has, 0?
void check_zero(const ImageReader &reader, std::uint64_t begin, std::uint64_t end, const Workers &workers,
                const Complain &complain);

} // namespace daxfs
