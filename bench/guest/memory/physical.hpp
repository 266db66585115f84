// SPDX-License-Identifier: Apache-2.0
// All of a machine's memory, frame by frame: what each page is to the kernel, by address, and what the
// kernel's own counters say of those that carry no mark.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "frames.hpp"

namespace daxbench {

/// Ranges of /proc/iomem, whole pages, in order, none overlapping.
struct PhysicalMap {
    std::vector<PhysicalRange> ram;    ///< "System RAM"
    std::vector<PhysicalRange> pmem;   ///< persistent memory and other regions that filesystems use
    std::vector<PhysicalRange> kernel; ///< the kernel's image, within the RAM
};

PhysicalMap parse_physical_map(std::string_view iomem);
std::uint64_t bytes_of(const std::vector<PhysicalRange> &ranges);

/// What /proc/kpageflags tells of a frame.
enum class FrameKind {
    free,
    page_cache, ///< pages of files and of block devices
    anonymous,
    page_table,
    slab,
    hugetlb,
    reserved, ///< never given to the page allocator, or withheld from it
    plain,    ///< in use, and not marked: stacks, vmalloc, page structs, buffers of drivers
};

/// `head`: kind of the last page that was no tail, which a compound page's tails are, too.
FrameKind kind_of_frame(std::uint64_t flags, FrameKind head);

/// Bytes by kind, and those of the image among the reserved ones.
struct FrameSums {
    std::map<FrameKind, std::int64_t> by_kind;
    std::int64_t kernel_image = 0;
};

/// What the kernel counts of pages that carry no mark, bytes.
struct KernelCounters {
    std::int64_t slab = 0;         ///< pages of slabs and large allocations of kmalloc
    std::int64_t kernel_stack = 0; ///< of all threads
    std::int64_t vmalloc = 0;      ///< without the stacks
    std::int64_t per_cpu_free = 0; ///< free pages that wait on each CPU's lists
    std::int64_t memmap = 0;       ///< page structs made since boot, those of the pmem
    std::int64_t memmap_boot = 0;  ///< page structs made at boot
};

/// The texts of /proc/meminfo, vmallocinfo, zoneinfo and vmstat. A kernel before 6.11 does not count its page
/// structs: they follow from the ranges (64 bytes each, in whole 2 MiB).
KernelCounters parse_kernel_counters(std::string_view meminfo, std::string_view vmallocinfo,
                                     std::string_view zoneinfo, std::string_view vmstat,
                                     const PhysicalMap &map);

/// By metric, bytes: they add up to frames_total_bytes, unaccounted_bytes among them (negative where the
/// counters say more than there is). unaccounted_ratio: its size, relative to the total.
std::map<std::string, double> account(const PhysicalMap &map, const FrameSums &sums,
                                      const KernelCounters &counters);

/// Name of a slab cache → bytes of its slabs, from the text of /proc/slabinfo.
std::map<std::string, std::int64_t> parse_slabinfo(std::string_view slabinfo);

/// What the files of this machine say now; needs root.
struct PhysicalMemory {
    std::map<std::string, double> bytes; ///< see account(); charged_bytes and mapcount_bytes beside it
    std::map<std::string, std::int64_t> slabs;
    json checks; ///< the kernel's own sums of what was counted by frames: free, page cache, …
};
PhysicalMemory count_physical_memory();

} // namespace daxbench
