// SPDX-License-Identifier: Apache-2.0
#include "error.hpp"

#include <cstring>

#include <fmt/core.h>

namespace daxfs {

std::string printable(std::string_view bytes)
{
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || byte == '\\')
            text += fmt::format("\\x{:02x}", byte);
        else
            text += c;
    }
    return text;
}

std::runtime_error system_failure(int code, std::string_view what)
{
    return std::runtime_error(fmt::format("{}: {}", what, std::strerror(code)));
}

}  // namespace daxfs
