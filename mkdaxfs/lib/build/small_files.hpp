// SPDX-License-Identifier: Apache-2.0
// The small files: read, hashed and written in batches by all threads, placed in
// inode order so that the image does not depend on how many there are.
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "content_hash.hpp"
#include "content_options.hpp"
#include "output.hpp"
#include "placer.hpp"
#include "source.hpp"

namespace daxfs {

class SmallFiles {
public:
    SmallFiles(Tree &tree, const TreeSource &source, const Workers &workers, const ContentOptions &options,
               const std::vector<NodeId> &files);

    // Place and copy all. Returns the bytes that storing equal files once saved.
    std::uint64_t write(Output &output, Placer &placer, ContentSum &sum);

private:
    // A file of the batch: its bytes in the buffer, zero-padded to whole blocks.
    struct Item {
        NodeId node = 0;
        std::uint64_t at = 0;  // in the buffer
        std::uint64_t len = 0; // multiple of 4096
        Hash128 hash;
        bool stored = false; // false: the data of an equal file is used
    };
    struct Batch {
        std::vector<Item> items;
        std::unique_ptr<std::byte[]> buffer;
    };

    struct Batches {
        std::vector<std::size_t> cuts; // where each begins, and the end of the last
        std::uint64_t largest;         // bytes
    };

    Batches split() const;
    void read(std::size_t begin, std::size_t end, Batch &batch, Crew &crew) const;
    void read(std::span<Item> items, const Batch &batch) const;
    static void complete(Item &item, FileContent &content, std::span<std::byte> read);
    void place(Batch &batch, Placer &placer, ContentSum &sum);
    bool equal(NodeId known, const Item &item, const Batch &batch) const;
    void copy(const Batch &batch, Output &output) const;

    Tree &tree_;
    const TreeSource &source_;
    const Workers &workers_;
    const ContentOptions &options_;
    const std::vector<NodeId> &files_;
    const std::size_t most_awaited_;
    std::unordered_map<Hash128, NodeId, HashOfHash> known_;
    std::uint64_t shared_bytes_ = 0;
};

} // namespace daxfs
