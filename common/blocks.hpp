// SPDX-License-Identifier: Apache-2.0
// Arithmetic of blocks.
#pragma once

#include <cstdint>

namespace daxfs {

inline constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to)
{
    return (value + to - 1) / to * to;
}

} // namespace daxfs
