// SPDX-License-Identifier: Apache-2.0
// What the agent asks of its kernel outside any measurement.
#pragma once

#include <cstdint>
#include <string>

#include "protocol.hpp"

namespace daxbench {

/// CLOCK_MONOTONIC in ns. Under QEMU's -icount shift=0 that is a count of guest instructions.
std::uint64_t now_ns();

/// Writes back and drops page cache, dentries and inodes that nobody uses; of page cache nothing,
/// once hold_page_cache() was called.
void drop_caches();

/// On a machine of others: from now on drop_caches() does nothing and make_cold() throws.
void keep_caches();

/// From now on page cache is somebody's only copy of data (tmpfs, ramfs). The kernel could not drop
/// it, but would mark each dirty page as "reclaim", a bit that fault-around then reads as "being
/// read ahead": every page of a mapping on tmpfs costs a fault of its own afterwards (figures in
/// docs/measuring.md).
void hold_page_cache();
/// Whether it was called.
bool page_cache_held();

/// Throws where this is somebody's machine that has not given leave to drop its caches.
void require_leave_to_drop();

/// Sleeps to a multiple of 50 ms at least 50 ms away: work that earlier steps left to the kernel
/// (RCU callbacks, workers) is done, and the timer tick is at the same place for every sample.
void settle();

/// While it lives, this thread has real-time priority: kernel threads and other processes that wake
/// wait until it is gone, rather than run in the middle of some samples and not of others.
class Uninterrupted {
public:
    Uninterrupted();
    ~Uninterrupted();
    Uninterrupted(const Uninterrupted &) = delete;
    Uninterrupted &operator=(const Uninterrupted &) = delete;
};

/// Stops periodic work of the kernel that would land in some samples and not in others.
void quiet_kernel();

/// Bytes by kind after sync(2): mem_total, mem_free, mem_free_per_cpu (beside it), page_cache (Cached),
/// buffers, slab, slab_reclaimable, anonymous, page_tables, shmem. Source: /proc/meminfo.
json memory_by_kind();

/// Free pages that lie in lists of single CPUs, where MemFree does not count them; of the text of
/// /proc/zoneinfo.
std::uint64_t per_cpu_free_pages(const std::string &zoneinfo);

/// Cached + Buffers in bytes, without sync.
std::uint64_t page_cache_bytes();

/// The first message of the protocol.
json hello();

} // namespace daxbench
