// SPDX-License-Identifier: Apache-2.0
#include "content_hash.hpp"

#include <array>

#include "xxh3.hpp"

namespace daxfs {

Hash128 hash_bytes(std::span<const std::byte> bytes)
{
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.low64, hash.high64};
}

void ContentSum::add(const Hash128 &piece, std::uint64_t offset)
{
    const std::array<std::uint64_t, 3> words = {piece.low, piece.high, offset};
    const Hash128 mixed = hash_bytes(std::as_bytes(std::span(words)));
    sum_.low += mixed.low;
    sum_.high += mixed.high;
}

void ContentSum::add(const ContentSum &other)
{
    sum_.low += other.sum_.low;
    sum_.high += other.sum_.high;
}

} // namespace daxfs
