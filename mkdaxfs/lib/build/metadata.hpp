// SPDX-License-Identifier: Apache-2.0
// Everything of an image but file data: first its sizes, then its bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "daxfs_format.h"
#include "metadata_stream.hpp"
#include "output.hpp"
#include "sparse.hpp"
#include "tree.hpp"

namespace daxfs {

struct Range {
    std::uint64_t off = 0;
    std::uint64_t len = 0;
};

// Where each part goes.
struct MetadataPlan {
    Range all;
    Range inodes;
    Range dirs;
    Range extents;
    Range symlinks;
    Range xattrs;
    Range digests;
    std::vector<std::uint64_t> xattr_offsets; // in xattrs, by set id - 1
};

// Lay out the metadata of a finished tree. Sets Node::data of directories and of files
// with holes, and Node::size of directories. digest_size is 0 for an image without.
MetadataPlan plan_metadata(Tree &tree, const std::vector<SparseFile> &sparse, std::size_t digest_size);

// Write it, once all file data has its place; digests is the digest table.
MetadataResult write_metadata(const Tree &tree, const std::vector<SparseFile> &sparse,
                              const MetadataPlan &plan, std::string_view digests, Output &output);

} // namespace daxfs
