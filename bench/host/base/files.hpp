// SPDX-License-Identifier: Apache-2.0
// Whole files: read, written in one step, hashed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "temp_dir.hpp"
#include "unique_fd.hpp"

namespace daxbench {

using Fd = daxfs::UniqueFd;
using daxfs::remove_tree;
using daxfs::TempDir;

// Throws where it cannot be opened.
Fd open_or_throw(const std::filesystem::path &path, int flags, mode_t mode = 0);
// What was renamed in it stays so after a crash.
void sync_dir(const std::filesystem::path &dir);

// Writes aside, fsyncs, renames.
void write_file(const std::filesystem::path &path, std::string_view content);
std::string read_file(const std::filesystem::path &path);
// Reads all of it but its holes and keeps nothing, so that the host has it in its page cache.
void read_into_page_cache(const std::filesystem::path &path);

// XXH3-128 (32 hex digits) of a file's content or of a text.
std::string xxh3_file(const std::filesystem::path &path);
std::string xxh3_text(std::string_view text);
// SHA-256, 64 hex digits.
std::string sha256_file(const std::filesystem::path &path);

} // namespace daxbench
