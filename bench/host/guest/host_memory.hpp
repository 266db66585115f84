// SPDX-License-Identifier: Apache-2.0
// What a QEMU process holds of the host's memory, split by what it is for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include <sys/types.h>

namespace daxbench {

struct MemoryUse {
    std::uint64_t rss = 0; // bytes
    std::uint64_t pss = 0; // bytes; shared pages divided by the number of mappings
};

struct HostMemory {
    MemoryUse total;
    MemoryUse ram;                 // guest RAM: mappings of the memfd
    MemoryUse image;               // mappings of the image file
    MemoryUse rest;                // QEMU itself
    MemoryUse files;               // of the rest: QEMU's program, libraries and other files
    std::uint64_t resident = 0;    // bytes, as the kernel counts them for the process: /proc/PID/status
    std::uint64_t page_tables = 0; // bytes, not part of the above
};

// `image` may be empty. Source: /proc/PID/smaps.
HostMemory host_memory(pid_t pid, const std::filesystem::path &image);
// Fills `resident` and `page_tables` from the text of /proc/PID/status.
void add_status(HostMemory &memory, std::string_view status);
HostMemory parse_smaps(std::string_view smaps, const std::filesystem::path &image);

} // namespace daxbench
