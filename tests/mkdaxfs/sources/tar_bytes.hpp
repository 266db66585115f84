// SPDX-License-Identifier: Apache-2.0
// Tars made byte by byte, as no tool would write them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace daxfs::test {

inline std::string padded(std::string bytes)
{
    bytes.append((512 - bytes.size() % 512) % 512, '\0');
    return bytes;
}

// The checksum of a header is right again.
inline void mend_header(std::string &block)
{
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : block.substr(0, 512))
        sum += static_cast<unsigned char>(c);
    block.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
}

// A header, ustar's, and what follows it.
inline std::string tar_entry(char type, const std::string &name, const std::string &content = "",
                             const std::string &link = "")
{
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, const std::string &text) { block.replace(at, text.size(), text); };
    put(0, name.substr(0, 100));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", content.size()));
    put(136, "00000000144");
    block[156] = type;
    put(157, link);
    put(257, std::string("ustar\00000", 8));
    mend_header(block);
    return block + padded(content);
}

inline std::string pax_record(const std::string &keyword, const std::string &value)
{
    const std::string rest = " " + keyword + "=" + value + "\n";
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length)
        length = std::to_string(length).size() + rest.size();
    return std::to_string(length) + rest;
}

// An extended header, 'x' for the next entry or 'g' for all.
inline std::string pax_header(const std::string &records, char type = 'x')
{
    return tar_entry(type, "PaxHeaders/x", records);
}

inline std::string tar_end()
{
    return std::string(1024, '\0');
}

} // namespace daxfs::test
