// SPDX-License-Identifier: Apache-2.0
#include "small_files.hpp"

#include <algorithm>
#include <cstring>

#include "daxfs_format.h"

namespace daxfs {

namespace {

constexpr std::uint64_t batch_bytes = 1 << 20;
constexpr std::size_t batch_files = 256;
constexpr std::size_t piece_files = 16;  // read in one go; few enough to notice early that they are on a disk

std::uint64_t in_blocks(const Node& node)
{
    return round_up(node.size, DAXFS_BLOCK_SIZE);
}

}  // namespace

SmallFiles::SmallFiles(Tree& tree, const TreeSource& source, const Workers& workers,
                       const ContentOptions& options, const std::vector<NodeId>& files)
    : tree_(tree), source_(source), workers_(workers), options_(options), files_(files)
{
}

// Where each batch begins, and the end of the last.
std::vector<std::size_t> SmallFiles::split() const
{
    std::vector<std::size_t> cuts = {0};
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < files_.size(); ++i) {
        if (i > cuts.back() && (bytes >= batch_bytes || i - cuts.back() >= batch_files)) {
            cuts.push_back(i);
            bytes = 0;
        }
        bytes += in_blocks(tree_.nodes[files_[i]]);
    }
    cuts.push_back(files_.size());
    return cuts;
}

std::uint64_t SmallFiles::write(Output& output, Placer& placer, ContentSum& sum)
{
    const std::vector<std::size_t> cuts = split();
    if (options_.dedupe)
        known_.reserve(files_.size());
    std::atomic<std::size_t> next = 0;
    Turns turns;
    workers_.run(
        [&](Crew& crew) {
            Batch batch;
            for (std::size_t turn = next++; turn + 1 < cuts.size(); turn = next++) {
                workers_.check_stop();
                read(cuts[turn], cuts[turn + 1], batch, crew);
                turns.take(turn, [&] { place(batch, placer, sum); });
                copy(batch, output);
                for (const Item& item : batch.items)
                    workers_.add_done(item.len);
            }
        },
        [&] { turns.abandon(); });
    return shared_bytes_;
}

void SmallFiles::read(std::size_t begin, std::size_t end, Batch& batch, Crew& crew) const
{
    batch.items.clear();
    std::uint64_t at = 0;
    for (std::size_t i = begin; i < end; ++i) {
        const std::uint64_t len = in_blocks(tree_.nodes[files_[i]]);
        batch.items.push_back({files_[i], at, len, {}, false});
        at += len;
    }
    if (batch.buffer.size() < at)
        batch.buffer.resize(at);
    const std::span<Item> items = batch.items;
    for (std::size_t i = 0; i < items.size(); i += piece_files)
        crew.piece([&] {
            for (Item& item : items.subspan(i, std::min(piece_files, items.size() - i)))
                read(item, std::span(batch.buffer).subspan(item.at, item.len));
        });
}

void SmallFiles::read(Item& item, std::span<std::byte> to) const
{
    const auto content = source_.open(tree_, item.node);
    const std::uint64_t size = tree_.nodes[item.node].size;
    content->read(0, to.first(size));
    content->check_unchanged();
    std::memset(to.data() + size, 0, item.len - size);
    item.hash = hash_bytes(to);
}

bool SmallFiles::equal(NodeId known, const Item& item, const Batch& batch) const
{
    const std::uint64_t size = tree_.nodes[item.node].size;
    if (tree_.nodes[known].size != size)
        return false;
    std::vector<std::byte> bytes(size);
    source_.open(tree_, known)->read(0, bytes);
    return std::memcmp(bytes.data(), batch.buffer.data() + item.at, size) == 0;
}

// One batch at a time, in order.
void SmallFiles::place(Batch& batch, Placer& placer, ContentSum& sum)
{
    for (Item& item : batch.items) {
        Node& node = tree_.nodes[item.node];
        if (options_.dedupe) {
            const auto [known, added] = known_.try_emplace(item.hash, item.node);
            if (!added && equal(known->second, item, batch)) {
                node.data = tree_.nodes[known->second].data;
                shared_bytes_ += item.len;
                continue;
            }
        }
        node.data = item.len >= options_.align ? placer.aligned(item.len, options_.align, 0)
                                               : placer.packed(item.len);
        item.stored = true;
        sum.add(item.hash, node.data);
    }
}

// Neighbours in the buffer that are neighbours in the image go out in one write.
void SmallFiles::copy(const Batch& batch, Output& output) const
{
    const std::span<const std::byte> buffer(batch.buffer);
    std::uint64_t at = 0;
    std::uint64_t len = 0;
    std::uint64_t off = 0;
    for (const Item& item : batch.items) {
        if (!item.stored)
            continue;
        const std::uint64_t data = tree_.nodes[item.node].data;
        if (len != 0 && item.at == at + len && data == off + len) {
            len += item.len;
            continue;
        }
        output.write(off, buffer.subspan(at, len));
        at = item.at;
        len = item.len;
        off = data;
    }
    output.write(off, buffer.subspan(at, len));
}

}  // namespace daxfs
