// SPDX-License-Identifier: Apache-2.0
#include "large_files.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "blocks.hpp"
#include "daxfs_format.h"

namespace daxfs {

namespace {

constexpr std::uint64_t piece_bytes = 4 << 20;
constexpr std::uint64_t buffer_bytes = 512 << 10; // the hashes the UUID comes from are of as much

using Buffer = std::unique_ptr<std::byte[]>;

// Read [offset, offset + len) of a file, zero-padded past its end.
std::span<std::byte> read_padded(FileContent &content, std::uint64_t size, std::uint64_t offset,
                                 std::uint64_t len, std::byte *to)
{
    const std::uint64_t real = std::min(len, size - offset);
    content.read(offset, {to, real});
    std::memset(to + real, 0, len - real);
    return {to, len};
}

} // namespace

LargeFiles::LargeFiles(Tree &tree, const TreeSource &source, const Workers &workers,
                       const ContentOptions &options, std::vector<SparseFile> &sparse)
    : tree_(tree), source_(source), workers_(workers), options_(options), sparse_(sparse)
{
}

std::vector<Extent> LargeFiles::extents_of(NodeId id) const
{
    const Node &node = tree_.nodes[id];
    if (node.first != 0)
        return sparse_[node.first - 1].extents;
    return {{0, round_up(node.size, DAXFS_BLOCK_SIZE), node.data}};
}

void LargeFiles::set_extents(NodeId id, const std::vector<Extent> &extents)
{
    Node &node = tree_.nodes[id];
    if (node.first != 0)
        sparse_[node.first - 1].extents = extents;
    else
        node.data = extents.front().off;
}

Hash128 LargeFiles::hash(NodeId id) const
{
    const Buffer buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
    const auto content = source_.open(tree_, id);
    ContentSum sum;
    for (const Extent &extent : extents_of(id)) {
        for (std::uint64_t done = 0; done < extent.len; done += buffer_bytes) {
            workers_.check_stop();
            const std::uint64_t at = extent.file_off + done;
            const std::uint64_t len = std::min(buffer_bytes, extent.len - done);
            sum.add(hash_bytes(read_padded(*content, tree_.nodes[id].size, at, len, buffer.get())), at);
        }
    }
    content->check_unchanged();
    return sum.value();
}

// Both have the same size and the same hash.
bool LargeFiles::equal(NodeId a, NodeId b) const
{
    const std::vector<Extent> extents = extents_of(a);
    const std::vector<Extent> others = extents_of(b);
    const auto same_place = [](const Extent &x, const Extent &y) {
        return x.file_off == y.file_off && x.len == y.len;
    };
    if (!std::equal(extents.begin(), extents.end(), others.begin(), others.end(), same_place))
        return false;

    const Buffer buffer = std::make_unique_for_overwrite<std::byte[]>(2 * buffer_bytes);
    const auto first = source_.open(tree_, a);
    const auto second = source_.open(tree_, b);
    const std::uint64_t size = tree_.nodes[a].size;
    for (const Extent &extent : extents) {
        for (std::uint64_t done = 0; done < extent.len; done += buffer_bytes) {
            workers_.check_stop();
            const std::uint64_t at = extent.file_off + done;
            const std::uint64_t len = std::min(buffer_bytes, extent.len - done);
            const auto x = read_padded(*first, size, at, len, buffer.get());
            const auto y = read_padded(*second, size, at, len, buffer.get() + buffer_bytes);
            if (std::memcmp(x.data(), y.data(), len) != 0)
                return false;
        }
    }
    return true;
}

// Does it pay to put the extent where it can be mapped by a large page?
bool LargeFiles::is_aligned(const Extent &extent) const
{
    return extent.len >= options_.align;
}

void LargeFiles::place_extents(const std::vector<NodeId> &files, bool aligned, Placer &placer)
{
    for (const NodeId id : files) {
        std::vector<Extent> extents = extents_of(id);
        for (Extent &extent : extents) {
            if (is_aligned(extent) != aligned)
                continue;
            extent.off = aligned ? placer.aligned(extent.len, options_.align, extent.file_off)
                                 : placer.packed(extent.len);
            for (std::uint64_t done = 0; done < extent.len; done += piece_bytes)
                pieces_.push_back({id, extent.file_off + done, std::min(piece_bytes, extent.len - done),
                                   extent.off + done});
        }
        set_extents(id, extents);
    }
}

void LargeFiles::place(const std::vector<NodeId> &files, const std::vector<Hash128> &hashes, Placer &placer,
                       std::uint64_t &shared_bytes)
{
    std::vector<NodeId> own;
    std::vector<std::pair<NodeId, NodeId>> copies; // of the second
    std::unordered_multimap<Hash128, NodeId, HashOfHash> known;
    for (std::size_t i = 0; i < files.size(); ++i) {
        const NodeId id = files[i];
        const bool may_be_known = hashes[i] != Hash128();
        const auto [begin, end] =
            may_be_known ? known.equal_range(hashes[i]) : std::pair{known.end(), known.end()};
        const auto twin = std::find_if(begin, end, [&](const auto &other) {
            return tree_.nodes[other.second].size == tree_.nodes[id].size && equal(other.second, id);
        });
        if (twin != end) {
            copies.emplace_back(id, twin->second);
            continue;
        }
        own.push_back(id);
        if (may_be_known)
            known.emplace(hashes[i], id);
    }
    // What is packed fills the gaps that alignment leaves, so it goes second.
    place_extents(own, true, placer);
    place_extents(own, false, placer);
    for (const auto &[id, twin] : copies) {
        const std::vector<Extent> extents = extents_of(twin);
        set_extents(id, extents);
        for (const Extent &extent : extents)
            shared_bytes += extent.len;
    }
}

ContentSum LargeFiles::copy(Output &output) const
{
    ContentSum total;
    std::mutex mutex;
    std::atomic<std::size_t> next = 0;
    workers_.run(
        [&](Crew &crew) {
            const Buffer buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
            ContentSum sum;
            for (std::size_t i = next++; i < pieces_.size(); i = next++) {
                workers_.check_stop();
                sum.add(copy(pieces_[i], output, buffer.get(), crew));
            }
            const std::lock_guard lock(mutex);
            total.add(sum);
        },
        [&] { next = pieces_.size(); });
    return total;
}

ContentSum LargeFiles::copy(const Piece &piece, Output &output, std::byte *buffer, Crew &crew) const
{
    const std::uint64_t size = tree_.nodes[piece.node].size;
    const auto content = source_.open(tree_, piece.node);
    // It is read all the same: the UUID comes from what is stored.
    const bool is_cloned = piece.file_off + piece.len <= size &&
                           output.clone(content->fd(), piece.file_off, piece.len, piece.off);
    if (!is_cloned)
        output.will_write(piece.off, piece.len);
    ContentSum sum;
    for (std::uint64_t done = 0; done < piece.len; done += buffer_bytes) {
        std::span<std::byte> bytes(buffer, std::min(buffer_bytes, piece.len - done));
        crew.piece([&] { read_padded(*content, size, piece.file_off + done, bytes.size(), buffer); });
        sum.add(hash_bytes(bytes), piece.off + done);
        if (!is_cloned)
            output.write(piece.off + done, bytes);
        workers_.add_done(bytes.size());
    }
    content->check_unchanged();
    return sum;
}

} // namespace daxfs
