// SPDX-License-Identifier: Apache-2.0
// Marks for the plugin in this guest's QEMU (marks.hpp). Without one they are NOPs.
#pragma once

#include <cstdint>

#include "marks.hpp"

namespace daxbench {

[[gnu::always_inline]] inline void mark_begin()
{
    asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(marks::signature | marks::begin) : "memory");
}

[[gnu::always_inline]] inline void mark_end()
{
    asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(marks::signature | marks::end) : "memory");
}

/// Number of the next section, from 0: one for each pair of marks.
int next_section();

/// Tells the plugin what the kernel's routine at ADDRESS means: a marks::Entry, or a marks::Part from
/// marks::first_part_code on.
void announce_routine(std::uint64_t address, std::uint8_t meaning);

} // namespace daxbench
