// SPDX-License-Identifier: Apache-2.0
// What a guest says to the plugin in its QEMU: NOPs with a displacement that no compiler makes. They are one
// instruction each, touch no memory, and mean nothing without the plugin.
//
// mark       0f 1f 80 imm32      NOP with a 32-bit displacement: 'D' 'A' 'X' in the upper bytes, code below
// address    0f 1f 84 00 imm32   after an announcing mark: the lower half of a kernel routine's address
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace daxbench::marks {

inline constexpr std::array<std::uint8_t, 3> mark_opcode = {0x0f, 0x1f, 0x80};
inline constexpr std::array<std::uint8_t, 4> address_opcode = {0x0f, 0x1f, 0x84, 0x00};
inline constexpr std::uint32_t signature = 0x44415800; // "DAX", and the code

inline constexpr std::uint8_t begin = 1;
inline constexpr std::uint8_t end = 2;
inline constexpr std::uint8_t announce = 0x10; ///< + what the routine means

/// Why the kernel runs: the kinds of its entries, told by the routine that it is entered by.
enum Entry : std::uint8_t { other, syscall, fault, interrupt };
inline constexpr std::size_t entries = 4;
/// Where a program's life has got to: up to the end of execve(2), then up to its exit, then to its end.
enum Part : std::uint8_t { start, run, finish };
inline constexpr std::size_t parts = 3;

/// What a routine that is announced means: an entry, or (from here on) a part.
inline constexpr std::uint8_t first_part_code = entries;

} // namespace daxbench::marks
