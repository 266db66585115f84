// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace daxfs {

using Uuid = std::array<std::uint8_t, 16>;

// 32 hexadecimal digits, hyphens anywhere.
std::optional<Uuid> parse_uuid(std::string text);
std::string show_uuid(const Uuid &uuid);

} // namespace daxfs
