// SPDX-License-Identifier: Apache-2.0
// Small owners and helpers over file descriptors, shared by host and guest.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "unique_fd.hpp"

namespace daxbench {

using daxfs::UniqueFd;

/// Throws std::runtime_error "WHAT: strerror(errno)"; WHAT names the object and what was wanted.
[[noreturn]] void throw_errno(std::string_view what);

/// open(2) with O_CLOEXEC added; throws naming the path.
UniqueFd open_file(const std::string &path, int flags, unsigned mode = 0);

/// The whole file (also of proc and sys, whose size is 0); throws naming the path.
std::string read_file(const std::string &path);

/// All of DATA, whatever write(2) takes at a time; throws on error.
void write_all(int fd, std::string_view data);

/// Writes into an existing file such as one of proc or sys; throws naming the path.
void write_file(const std::string &path, std::string_view data);

/// Without blanks and newlines at both ends.
std::string_view trim(std::string_view text);

} // namespace daxbench
