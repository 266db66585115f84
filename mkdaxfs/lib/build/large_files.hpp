// SPDX-License-Identifier: Apache-2.0
// The files of 2 MiB and more and those with holes: placed all at once, then copied
// in pieces by any thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "content_hash.hpp"
#include "content_options.hpp"
#include "output.hpp"
#include "placer.hpp"
#include "source.hpp"
#include "sparse.hpp"

namespace daxfs {

class LargeFiles {
public:
    LargeFiles(Tree &tree, const TreeSource &source, const Workers &workers, const ContentOptions &options,
               std::vector<SparseFile> &sparse);

    // Hash of a file's data, extent by extent.
    Hash128 hash(NodeId node) const;
    // Place all files. With hashes (one for each, zero where no other file has its
    // size) equal files are stored once; shared_bytes grows by what that saves.
    void place(const std::vector<NodeId> &files, const std::vector<Hash128> &hashes, Placer &placer,
               std::uint64_t &shared_bytes);
    // Copy what was placed.
    ContentSum copy(Output &output) const;

private:
    // A piece of a file, at most piece_bytes long.
    struct Piece {
        NodeId node;
        std::uint64_t file_off;
        std::uint64_t len; // multiple of 4096, the last one may pass the file's end
        std::uint64_t off;
    };

    ContentSum copy(const Piece &piece, Output &output, std::byte *buffer, Crew &crew) const;
    std::vector<Extent> extents_of(NodeId node) const;
    void set_extents(NodeId node, const std::vector<Extent> &extents);
    bool equal(NodeId a, NodeId b) const;
    bool is_aligned(const Extent &extent) const;
    void place_extents(const std::vector<NodeId> &files, bool aligned, Placer &placer);

    Tree &tree_;
    const TreeSource &source_;
    const Workers &workers_;
    const ContentOptions &options_;
    std::vector<SparseFile> &sparse_;
    std::vector<Piece> pieces_;
};

} // namespace daxfs
