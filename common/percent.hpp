// SPDX-License-Identifier: Apache-2.0
// Bytes of any kind as visible ASCII.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace daxfs {

// Bytes other than visible ASCII, and '%', become %XX: no blank or newline is left.
inline std::string percent_encode(std::string_view bytes)
{
    constexpr std::string_view hex_digits = "0123456789ABCDEF";
    std::string text;
    text.reserve(bytes.size());
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f && c != '%') {
            text += c;
            continue;
        }
        text += '%';
        text += hex_digits[byte >> 4];
        text += hex_digits[byte & 15];
    }
    return text;
}

// The value of a hexadecimal digit in either case, or -1.
inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

// Nothing where a '%' has no two hexadecimal digits behind it; `bad`, when given, is its place then.
inline std::optional<std::string> percent_decode(std::string_view text, std::size_t *bad = nullptr)
{
    std::string bytes;
    bytes.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            bytes += text[i];
            continue;
        }
        const bool room = i + 2 < text.size();
        const int high = room ? hex_value(text[i + 1]) : -1;
        const int low = room ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            if (bad)
                *bad = i;
            return std::nullopt;
        }
        bytes += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return bytes;
}

} // namespace daxfs
