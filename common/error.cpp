// SPDX-License-Identifier: Apache-2.0
#include "error.hpp"

#include <sys/stat.h>

#include <cerrno>
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

void refuse_directory(const std::string& path)
{
    struct stat st = {};
    if (stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        throw system_failure(EISDIR, "cannot read " + printable(path));
}

std::runtime_error system_failure(int code, std::string_view what)
{
    return std::runtime_error(fmt::format("{}: {}", what, std::strerror(code)));
}

}  // namespace daxfs
