// SPDX-License-Identifier: Apache-2.0
#include "error.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

namespace daxfs {

namespace {

// Bytes of the UTF-8 character at the start; 0 when there is none.
std::size_t character(std::string_view bytes)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned first = byte(0);
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    if (size < 2 || size > bytes.size())
        return size == 1 ? 1 : 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
    }
    // Longer forms than needed, surrogates, beyond U+10FFFF.
    const unsigned second = byte(1);
    const bool none = (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
                      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
    return none ? 0 : size;
}

bool is_control(std::string_view character)
{
    const auto first = static_cast<unsigned char>(character[0]);
    return first < 0x20 || first == 0x7f ||
           (first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0);
}

} // namespace

std::string printable(std::string_view bytes)
{
    std::string text;
    while (!bytes.empty()) {
        std::size_t size = bytes[0] == '\\' ? 0 : character(bytes);
        if (size != 0 && is_control(bytes))
            size = 0;
        if (size == 0)
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
        text += bytes.substr(0, size);
        bytes.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return text;
}

bool is_utf8(std::string_view bytes)
{
    while (!bytes.empty()) {
        const std::size_t size = character(bytes);
        if (size == 0)
            return false;
        bytes.remove_prefix(size);
    }
    return true;
}

std::runtime_error system_failure(int code, std::string_view what)
{
    return std::runtime_error(fmt::format("{}: {}", what, std::strerror(code)));
}

} // namespace daxfs
