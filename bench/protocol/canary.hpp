// SPDX-License-Identifier: Apache-2.0
// Bytes that lie where no file may reach: in the guest's own memory, and in the region behind the image. Seen
// in what a filesystem gives, they prove that it gave what is not its image's.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace daxbench {

/// Eight bytes, repeated over whole pages. Random: nothing else has them.
inline constexpr std::uint64_t memory_canary = 0x9d1fb36c85e2f47a;
inline constexpr std::uint64_t region_canary = 0x8b57c2e96d30a4f1;

/// How many bytes of DATA are the canary's.
inline std::uint64_t bytes_of_canary(std::string_view data, std::uint64_t canary)
{
    const std::string_view wanted(reinterpret_cast<const char *>(&canary), sizeof canary);
    std::uint64_t bytes = 0;
    for (auto at = data.find(wanted); at != data.npos; at = data.find(wanted, at + sizeof canary))
        bytes += sizeof canary;
    return bytes;
}

inline std::string canary_page(std::uint64_t canary)
{
    std::string page(4096, '\0');
    for (std::size_t at = 0; at < page.size(); at += sizeof canary)
        std::memcpy(page.data() + at, &canary, sizeof canary);
    return page;
}

} // namespace daxbench
