// SPDX-License-Identifier: Apache-2.0
#include "small_files.hpp"

#include <algorithm>
#include <cstring>

#include <sys/resource.h>

#include "blocks.hpp"
#include "daxfs_format.h"

namespace daxfs {

namespace {

constexpr std::uint64_t batch_bytes = 512 << 10;
constexpr std::size_t batch_files = 256;
constexpr std::size_t piece_files = 16; // read in one go; few enough to notice early that they are on a disk

// How many files a thread may keep open beside the two that it reads or compares.
std::size_t most_awaited(unsigned threads)
{
    constexpr rlim_t others = 32; // of the process
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= others)
        return 0;
    const rlim_t each = std::min<rlim_t>((limit.rlim_cur - others) / threads, piece_files + 2);
    return each < 2 ? 0 : static_cast<std::size_t>(each - 2);
}

std::uint64_t in_blocks(const Node &node)
{
    return round_up(node.size, DAXFS_BLOCK_SIZE);
}

} // namespace

SmallFiles::SmallFiles(Tree &tree, const TreeSource &source, const Workers &workers,
                       const ContentOptions &options, const std::vector<NodeId> &files)
    : tree_(tree), source_(source), workers_(workers), options_(options), files_(files),
      most_awaited_(most_awaited(workers.threads))
{
}

SmallFiles::Batches SmallFiles::split() const
{
    Batches batches = {{0}, 0};
    std::vector<std::size_t> &cuts = batches.cuts;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < files_.size(); ++i) {
        const std::uint64_t len = in_blocks(tree_.nodes[files_[i]]);
        if (i > cuts.back() && (bytes + len > batch_bytes || i - cuts.back() >= batch_files)) {
            cuts.push_back(i);
            bytes = 0;
        }
        bytes += len;
        batches.largest = std::max(batches.largest, bytes);
    }
    cuts.push_back(files_.size());
    return batches;
}

std::uint64_t SmallFiles::write(Output &output, Placer &placer, ContentSum &sum)
{
    const Batches batches = split();
    const std::vector<std::size_t> &cuts = batches.cuts;
    if (options_.dedupe)
        known_.reserve(files_.size());
    std::atomic<std::size_t> next = 0;
    Turns turns;
    workers_.run(
        [&](Crew &crew) {
            Batch batch = {{}, std::make_unique_for_overwrite<std::byte[]>(batches.largest)};
            for (std::size_t turn = next++; turn + 1 < cuts.size(); turn = next++) {
                workers_.check_stop();
                read(cuts[turn], cuts[turn + 1], batch, crew);
                turns.take(turn, [&] { place(batch, placer, sum); });
                copy(batch, output);
                for (const Item &item : batch.items)
                    workers_.add_done(item.len);
            }
        },
        [&] { turns.abandon(); });
    return shared_bytes_;
}

void SmallFiles::read(std::size_t begin, std::size_t end, Batch &batch, Crew &crew) const
{
    batch.items.clear();
    std::uint64_t at = 0;
    for (std::size_t i = begin; i < end; ++i) {
        const std::uint64_t len = in_blocks(tree_.nodes[files_[i]]);
        batch.items.push_back({files_[i], at, len, {}, false});
        at += len;
    }
    const std::span<Item> items = batch.items;
    for (std::size_t i = 0; i < items.size(); i += piece_files)
        crew.piece([&] { read(items.subspan(i, std::min(piece_files, items.size() - i)), batch); });
}

// What is in memory first; meanwhile a disk brings the others.
void SmallFiles::read(std::span<Item> items, const Batch &batch) const
{
    std::vector<std::pair<Item *, std::unique_ptr<FileContent>>> awaited;
    for (Item &item : items) {
        auto content = source_.open(tree_, item.node);
        const std::span to(batch.buffer.get() + item.at, tree_.nodes[item.node].size);
        if (!content->read_now(0, to)) {
            if (awaited.size() < most_awaited_) {
                awaited.emplace_back(&item, std::move(content));
                continue;
            }
            content->read(0, to);
        }
        complete(item, *content, to);
    }
    for (const auto &[item, content] : awaited) {
        const std::span to(batch.buffer.get() + item->at, tree_.nodes[item->node].size);
        content->read(0, to);
        complete(*item, *content, to);
    }
}

void SmallFiles::complete(Item &item, FileContent &content, std::span<std::byte> read)
{
    content.check_unchanged();
    std::memset(read.data() + read.size(), 0, item.len - read.size());
    item.hash = hash_bytes({read.data(), item.len});
}

// In their blocks: what follows the end of a file there is zeros, as in the image.
bool SmallFiles::equal(NodeId known, const Item &item, const Batch &batch) const
{
    if (in_blocks(tree_.nodes[known]) != item.len)
        return false;
    std::vector<std::byte> bytes(item.len);
    source_.open(tree_, known)->read(0, std::span(bytes).first(tree_.nodes[known].size));
    return std::memcmp(bytes.data(), batch.buffer.get() + item.at, item.len) == 0;
}

// One batch at a time, in order.
void SmallFiles::place(Batch &batch, Placer &placer, ContentSum &sum)
{
    for (Item &item : batch.items) {
        Node &node = tree_.nodes[item.node];
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
void SmallFiles::copy(const Batch &batch, Output &output) const
{
    std::uint64_t at = 0;
    std::uint64_t len = 0;
    std::uint64_t off = 0;
    const auto flush = [&] {
        if (len == 0)
            return;
        output.will_write(off, len);
        output.write(off, {batch.buffer.get() + at, len});
    };
    for (const Item &item : batch.items) {
        if (!item.stored)
            continue;
        const std::uint64_t data = tree_.nodes[item.node].data;
        if (len != 0 && item.at == at + len && data == off + len) {
            len += item.len;
            continue;
        }
        flush();
        at = item.at;
        len = item.len;
        off = data;
    }
    flush();
}

} // namespace daxfs
