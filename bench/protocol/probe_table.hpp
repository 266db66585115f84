// SPDX-License-Identifier: Apache-2.0
// A hash table as a file: what the host makes and the guest looks up. Open addressing, linear probing; a slot
// is a key and a value, two 64-bit words in the machine's order; key 0 is an empty slot.
#pragma once

#include <cstdint>

namespace daxbench {

struct ProbeSlot {
    std::uint64_t key = 0;
    std::uint64_t value = 0;
};

/// Key number INDEX of a table; never 0. Those of 0 … slots/2-1 are in it, those after them are not.
constexpr std::uint64_t probe_key(std::uint64_t index)
{
    std::uint64_t z = (index + 1) * 0x9e3779b97f4a7c15U; // splitmix64 (Steele, Lea, Flood 2014)
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

constexpr std::uint64_t probe_value(std::uint64_t key)
{
    return key * 0xd6e8feb86659fd93U;
}

/// The slot of KEY, or the empty one where it would be; SLOTS is a power of two.
constexpr std::uint64_t probe_slot(const ProbeSlot *table, std::uint64_t slots, std::uint64_t key)
{
    std::uint64_t at = key & (slots - 1);
    while (table[at].key != 0 && table[at].key != key)
        at = (at + 1) & (slots - 1);
    return at;
}

} // namespace daxbench
