// SPDX-License-Identifier: Apache-2.0
// What the kernel counts of reclaim.
#pragma once

#include <cstdint>
#include <string_view>

namespace daxbench {

/// Pages, but for faults; since boot.
struct ReclaimCount {
    std::uint64_t refaulted = 0; ///< of files, read again after they were reclaimed
    std::uint64_t scanned = 0;
    std::uint64_t reclaimed = 0;
    std::uint64_t major_faults = 0;
};

/// From the text of /proc/vmstat; throws where it lacks one of them.
ReclaimCount parse_reclaim(std::string_view vmstat);

} // namespace daxbench
