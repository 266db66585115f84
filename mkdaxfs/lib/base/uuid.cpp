// SPDX-License-Identifier: Apache-2.0
#include "uuid.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/core.h>

namespace daxfs {

std::optional<Uuid> parse_uuid(std::string text)
{
    std::erase(text, '-');
    const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
    Uuid uuid;
    if (text.size() != 2 * uuid.size() || !std::all_of(text.begin(), text.end(), is_digit))
        return std::nullopt;
    for (std::size_t i = 0; i < uuid.size(); ++i)
        uuid[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
    return uuid;
}

std::string show_uuid(const Uuid &uuid)
{
    std::string text;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text += '-';
        text += fmt::format("{:02x}", uuid[i]);
    }
    return text;
}

} // namespace daxfs
