// SPDX-License-Identifier: Apache-2.0
// What the checks of region-probe share: a mount at /mnt/x, whose file /big holds 'b's and is 2 MiB
// aligned, and whose file /file holds "content\n".
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace probe {

inline constexpr std::size_t page = 4096;
inline constexpr std::size_t huge = 2U << 20;
inline constexpr std::size_t mapped = 3U << 20; ///< size of /big
inline const std::string root = "/mnt/x";

/// Writes to a file of the kernel's; a failure fails the test.
void write_to(const std::string &path, const std::string &text);

/// All of /big, or nullptr.
char *map_big(int flags, int protection = 1 /* PROT_READ */);

/// What the last SIGBUS that bus_code() met said.
extern siginfo_t caught;

/// The code of the SIGBUS that this meets, or 0. What it leaves behind then is the caller's affair.
int bus_code_of(const std::function<void()> &access);
/// The code of the SIGBUS that reading this byte gives, or 0; `byte` gets what was read.
int bus_code(const volatile char *at, char *byte = nullptr);
bool reads(const volatile char *at, char wanted);

/// Page frame of an address, 0 when nothing is mapped.
std::uint64_t frame_of(const volatile char *at);

/// Takes the device from its driver, or from the machine, in the way the environment names.
void take_away();

} // namespace probe
