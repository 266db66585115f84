// SPDX-License-Identifier: Apache-2.0
// XXH3-128 of file data, and a sum of such hashes that knows no order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace daxfs {

struct Hash128 {
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    bool operator==(const Hash128 &) const = default;
};

Hash128 hash_bytes(std::span<const std::byte> bytes);

struct HashOfHash {
    std::size_t operator()(const Hash128 &hash) const { return hash.low; }
};

// The sum over pieces of (hash of the piece, where it lies): the same for the same
// pieces, whoever adds them first.
class ContentSum {
public:
    void add(const Hash128 &piece, std::uint64_t offset);
    void add(const ContentSum &other);
    const Hash128 &value() const { return sum_; }

private:
    Hash128 sum_;
};

} // namespace daxfs
