// SPDX-License-Identifier: Apache-2.0
#include "directory_record.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include <sys/stat.h>

#include "blocks.hpp"
#include "image.h"

namespace daxfs {

namespace {

// One to two entries for each bucket, so that a lookup compares about one hash; a
// directory of a few entries is searched faster without buckets.
std::uint32_t bucket_bits(std::uint32_t count)
{
    if (count < 8)
        return 0;
    return std::min(28, static_cast<int>(std::bit_width(count)) - 1);
}

std::uint64_t entries_offset(std::uint32_t count)
{
    const std::uint64_t buckets = (1ULL << bucket_bits(count)) + 1;
    return sizeof(daxfs_dir) + round_up(buckets * sizeof(__le32), 8);
}

struct Hashed {
    std::uint32_t hash;
    std::uint32_t entry;
};

std::vector<Hashed> sorted_by_hash(const Tree &tree, const Node &dir)
{
    std::vector<Hashed> order;
    order.reserve(dir.count);
    for (std::uint32_t at = dir.first; at < dir.first + dir.count; ++at) {
        const std::string_view name = tree.name(tree.entries[at]);
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(name.data());
        order.push_back({daxfs_name_hash(bytes, name.size()), at});
    }
    // Entries are in name order already, so their number decides between equal hashes.
    std::sort(order.begin(), order.end(), [](const Hashed &a, const Hashed &b) {
        return a.hash != b.hash ? a.hash < b.hash : a.entry < b.entry;
    });
    return order;
}

// The values of d_type are those of S_IFMT, shifted.
std::uint8_t dirent_type(std::uint32_t mode)
{
    return static_cast<std::uint8_t>((mode & S_IFMT) >> 12);
}

template <typename T> void store(std::string &record, std::uint64_t at, const T &value)
{
    std::memcpy(record.data() + at, &value, sizeof(value));
}

} // namespace

std::uint64_t directory_record_size(const Tree &tree, const Node &dir)
{
    std::uint64_t size = entries_offset(dir.count) + std::uint64_t{dir.count} * sizeof(daxfs_dirent);
    for (std::uint32_t at = dir.first; at < dir.first + dir.count; ++at)
        size += tree.entries[at].name_len;
    return size;
}

std::string directory_record(const Tree &tree, const Node &dir)
{
    const std::uint32_t bits = bucket_bits(dir.count);
    const std::vector<Hashed> order = sorted_by_hash(tree, dir);
    const std::uint64_t entries = entries_offset(dir.count);
    const std::uint64_t names = entries + std::uint64_t{dir.count} * sizeof(daxfs_dirent);

    std::string record(names, '\0');
    record.reserve(dir.size);
    store(record, 0, daxfs_dir{dir.count, bits});
    std::uint64_t bucket = 0;
    const auto fill_buckets = [&](std::uint64_t until, std::uint32_t index) {
        for (; bucket <= until; ++bucket)
            store(record, sizeof(daxfs_dir) + bucket * sizeof(__le32), index);
    };
    for (std::uint32_t i = 0; i < dir.count; ++i) {
        const Entry &entry = tree.entries[order[i].entry];
        fill_buckets(std::uint64_t{order[i].hash} >> (32 - bits), i);
        const Node &node = tree.nodes[entry.node];
        const daxfs_dirent raw = {order[i].hash,
                                  node.ino,
                                  static_cast<std::uint32_t>(record.size()),
                                  static_cast<std::uint8_t>(entry.name_len),
                                  dirent_type(node.mode),
                                  0};
        store(record, entries + std::uint64_t{i} * sizeof(raw), raw);
        record += tree.name(entry);
    }
    fill_buckets(1ULL << bits, dir.count);
    return record;
}

} // namespace daxfs
