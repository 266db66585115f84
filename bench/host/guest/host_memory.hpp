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
    MemoryUse ram;   // guest RAM: mappings of the memfd
    MemoryUse image; // mappings of the image file
    MemoryUse rest;  // QEMU itself
};

// `image` may be empty. Source: /proc/PID/smaps.
HostMemory host_memory(pid_t pid, const std::filesystem::path &image);
HostMemory parse_smaps(std::string_view smaps, const std::filesystem::path &image);

} // namespace daxbench
