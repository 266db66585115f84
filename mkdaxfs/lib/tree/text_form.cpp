// SPDX-License-Identifier: Apache-2.0
#include "text_form.hpp"

#include <array>
#include <charconv>

namespace daxfs {

namespace {

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_base64_values()
{
    std::array<std::int8_t, 256> values{};
    for (auto &value : values)
        value = -1;
    for (std::size_t i = 0; i < base64_digits.size(); ++i)
        values[static_cast<unsigned char>(base64_digits[i])] = static_cast<std::int8_t>(i);
    return values;
}

constexpr std::array<std::int8_t, 256> base64_values = make_base64_values();

} // namespace

std::string base64_encode(std::string_view bytes)
{
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j)
            bits = bits << 8 | (j < have ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            text += j <= have ? base64_digits[bits >> (18 - 6 * j) & 63] : '=';
    }
    return text;
}

std::optional<std::string> base64_decode(std::string_view text)
{
    if (text.size() % 4 != 0)
        return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        std::string_view four = text.substr(i, 4);
        if (i + 4 == text.size()) {
            while (four.ends_with('=') && four.size() > 2)
                four.remove_suffix(1);
        }
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 4; ++j) {
            const int value = j < four.size() ? base64_values[static_cast<unsigned char>(four[j])] : 0;
            if (value < 0)
                return std::nullopt;
            bits = bits << 6 | static_cast<std::uint32_t>(value);
        }
        for (std::size_t j = 0; j + 1 < four.size(); ++j)
            bytes += static_cast<char>(bits >> (16 - 8 * j) & 255);
    }
    return bytes;
}

template <typename T> std::optional<T> parse_number(std::string_view text, int base)
{
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

template std::optional<std::uint32_t> parse_number(std::string_view, int);
template std::optional<std::uint64_t> parse_number(std::string_view, int);
template std::optional<std::int64_t> parse_number(std::string_view, int);

bool parse_time(std::string_view text, std::int64_t &sec, std::uint32_t &nsec)
{
    const std::size_t point = text.find('.');
    const auto whole = parse_number<std::int64_t>(text.substr(0, point));
    std::optional<std::uint32_t> part = 0;
    if (point != text.npos)
        part = text.size() - point == 10 ? parse_number<std::uint32_t>(text.substr(point + 1)) : std::nullopt;
    if (!whole || !part)
        return false;
    sec = *whole;
    nsec = *part;
    return true;
}

} // namespace daxfs
