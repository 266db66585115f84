// SPDX-License-Identifier: Apache-2.0
// The spelling of an image as text (docs/text.md): bytes, data, one line for each inode.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "percent.hpp"
#include "tree.hpp"

namespace daxfs {

// The first line. A text that a tool wrote is version 2, whose last line must be there: one that
// was cut is no whole tree. A few lines by hand need none.
inline constexpr std::string_view text_without_end = "daxfs-text 1";
inline constexpr std::string_view text_with_end = "daxfs-text 2";
inline constexpr std::string_view text_last_line = "end";

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

// Decimal digits that fit T, all of the text.
template <typename T> std::optional<T> parse_number(std::string_view text, int base = 10);

// "SECONDS.NNNNNNNNN": nine digits, or no point at all for 0.
bool parse_time(std::string_view text, std::int64_t &sec, std::uint32_t &nsec);

} // namespace daxfs
