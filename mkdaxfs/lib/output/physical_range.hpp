// SPDX-License-Identifier: Apache-2.0
// A range of physical memory, and what the kernel says of it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace daxfs {

struct PhysicalRange {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
};

// "ADDR,SIZE": decimal or 0x, with K, M, G or T behind, whole pages of 4096 bytes. Throws
// std::invalid_argument with what was wanted.
PhysicalRange parse_physical_range(const std::string &text);

// For messages.
std::string show(const PhysicalRange &range);

// The names of what overlaps the range in /proc/iomem. Throws when the file
// hides its addresses.
std::vector<std::string> claims_on(const PhysicalRange &range, std::istream &iomem);

// Throws when the range holds RAM that the kernel uses, or a mounted image.
void refuse_if_in_use(const PhysicalRange &range, const std::vector<std::string> &claims);

} // namespace daxfs
