// SPDX-License-Identifier: Apache-2.0
// Orders that look random and are the same everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace daxbench {

// splitmix64 (Steele, Lea, Flood 2014).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next()
    {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }

private:
    std::uint64_t state_;
};

/// 0 … COUNT-1 in an order that depends on SEED alone.
std::vector<std::uint32_t> permutation(std::size_t count, std::uint64_t seed);

} // namespace daxbench
