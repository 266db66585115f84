// SPDX-License-Identifier: Apache-2.0
// The files under stress: made by the test, read and verified in the guest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace stress {

inline constexpr unsigned small_files = 40;
/// Sizes of the files behind the small ones, in bytes: some pages behind 2 MiB; large; the one whose
/// pages are made to fail.
inline constexpr std::array<std::size_t, 3> large_files = {(3U << 20) + 20580, 5U << 20, 4U << 20};
inline constexpr unsigned files = small_files + large_files.size();
inline constexpr unsigned failing_file = files - 1;

inline std::string name_of(unsigned file)
{
    return "stress/" + std::to_string(file);
}

inline std::size_t size_of(unsigned file)
{
    return file < small_files ? file * 12181U % 70001U + 1 : large_files[file - small_files];
}

/// The byte at this offset; beyond the end of the file a mapping holds zeros.
inline char byte_of(unsigned file, std::size_t offset)
{
    if (offset >= size_of(file))
        return 0;
    return static_cast<char>(1 + (file * 37 + offset / 4096 * 11 + offset % 4096 / 512) % 250);
}

} // namespace stress
