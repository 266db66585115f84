// SPDX-License-Identifier: Apache-2.0
// Decompression of single streams (xz, zstd, gzip, lz4, …), whatever filter they use.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace daxbench {

// Content of a file, decompressed when it is compressed.
std::string read_decompressed(const std::filesystem::path &path);
// `name` is for the error.
std::string decompressed(std::string_view data, const std::string &name);

} // namespace daxbench
