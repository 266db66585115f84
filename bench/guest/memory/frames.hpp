// SPDX-License-Identifier: Apache-2.0
// What a process's pages really are: frames counted by address and kind, which RSS does not tell
// (a DAX mapping is in it on some kernels and not on others).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "protocol.hpp"

namespace daxbench {

/// Bytes; every frame counted once, however often it is mapped.
struct Frames {
    std::uint64_t pmem = 0;       // persistent memory or another region that is no system RAM
    std::uint64_t page_cache = 0; // pages of files
    std::uint64_t anonymous = 0;
    std::uint64_t zero = 0;  // the shared zero page
    std::uint64_t other = 0; // what is none of these
};

/// Physical addresses, [start, end).
using PhysicalRange = std::pair<std::uint64_t, std::uint64_t>;

/// Ranges of persistent memory in the text of /proc/iomem (read as root).
std::vector<PhysicalRange> parse_pmem_ranges(std::string_view iomem);

/// From /proc/iomem, or "pmem_ranges": [["0x100000000", "0x110000000"], …] of WORKLOAD.
std::vector<PhysicalRange> pmem_ranges(const json &workload);

/// Frames behind [start, end) of process PID, which must not run meanwhile; start = end = 0: all
/// of its mappings but the kernel's own ([vdso], [vvar]). Sources: /proc/PID/pagemap, /proc/kpageflags; needs
/// root.
Frames count_frames(pid_t pid, const std::vector<PhysicalRange> &pmem, std::uint64_t start = 0,
                    std::uint64_t end = 0);

/// The same of all of PIDS together: a frame that several of them have mapped counts once.
Frames count_frames(const std::vector<pid_t> &pids, const std::vector<PhysicalRange> &pmem);

/// What this process has of page tables for its memory (VmPTE).
std::uint64_t own_page_table_bytes();

/// What a process has mapped of the files below a path.
struct MappedPages {
    std::uint64_t mapped = 0;  // bytes of the mappings
    std::uint64_t present = 0; // bytes that its page tables point to, each mapping for itself
    std::uint64_t rss = 0;     // what smaps says of these mappings
    Frames frames;             // behind them, each once
};

/// Sources: /proc/PID/smaps, /proc/PID/pagemap, /proc/kpageflags; needs root.
MappedPages count_mapped(pid_t pid, const std::vector<PhysicalRange> &pmem, const std::string &below);

/// Addresses of a process, [start, end).
struct ProcessRange {
    pid_t pid = 0;
    std::uint64_t start = 0;
    std::uint64_t end = 0;
};

/// The same behind ranges of several processes, each frame once.
Frames count_frames(const std::vector<ProcessRange> &ranges, const std::vector<PhysicalRange> &pmem);

/// Where process PID has mapped the file of this name, by the text of its maps.
std::vector<ProcessRange> mappings_of_file(pid_t pid, std::string_view maps, std::string_view name);

} // namespace daxbench
