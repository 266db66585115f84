// SPDX-License-Identifier: Apache-2.0
#include "physical_range.hpp"

#include <algorithm>
#include <charconv>
#include <istream>
#include <optional>
#include <stdexcept>
#include <string_view>

#include <fmt/core.h>

#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

namespace {

std::optional<std::uint64_t> parse_bytes(std::string_view text)
{
    const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
    if (is_hex)
        text.remove_prefix(2);
    std::uint64_t value = 0;
    const auto end = text.data() + text.size();
    const auto [at, code] = std::from_chars(text.data(), end, value, is_hex ? 16 : 10);
    if (code != std::errc() || end - at > 1)
        return std::nullopt;
    if (at == end)
        return value;
    constexpr std::string_view units = "KMGT";
    const auto unit = units.find(static_cast<char>(*at & ~0x20));
    if (unit == units.npos)
        return std::nullopt;
    const unsigned shift = 10 * (static_cast<unsigned>(unit) + 1);
    if (value << shift >> shift != value)
        return std::nullopt;
    return value << shift;
}

} // namespace

PhysicalRange parse_physical_range(const std::string &text)
{
    const auto comma = text.find(',');
    const auto start = parse_bytes(std::string_view(text).substr(0, comma));
    const auto size =
        comma == text.npos ? std::nullopt : parse_bytes(std::string_view(text).substr(comma + 1));
    if (!start || !size)
        throw std::invalid_argument(fmt::format(
            "expected ADDR,SIZE in bytes, decimal or 0x, with K, M, G or T, got {}", printable(text)));
    if (*start % DAXFS_BLOCK_SIZE != 0 || *size % DAXFS_BLOCK_SIZE != 0 || *size == 0)
        throw std::invalid_argument("expected multiples of 4096 bytes, got " + printable(text));
    if (*start + (*size - 1) < *start)
        throw std::invalid_argument("expected a range of addresses of 64 bits, got " + printable(text));
    return {*start, *size};
}

std::string show(const PhysicalRange &range)
{
    return fmt::format("the physical range {:#x},{}", range.start, range.size);
}

std::vector<std::string> claims_on(const PhysicalRange &range, std::istream &iomem)
{
    std::vector<std::string> claims;
    bool is_hidden = true;
    for (std::string line; std::getline(iomem, line);) {
        const auto name = line.find(" : ");
        const auto digits = line.find_first_not_of(' ');
        if (name == line.npos || digits == line.npos)
            continue;
        std::uint64_t first = 0;
        std::uint64_t last = 0;
        const char *const end = line.data() + name;
        const auto dash = std::from_chars(line.data() + digits, end, first, 16);
        if (dash.ec != std::errc() || dash.ptr == end)
            continue;
        std::from_chars(dash.ptr + 1, end, last, 16);
        is_hidden = is_hidden && last == 0;
        if (first <= range.start + (range.size - 1) && range.start <= last)
            claims.push_back(line.substr(name + 3));
    }
    if (is_hidden)
        throw std::runtime_error("/proc/iomem shows this user no addresses: --phys needs CAP_SYS_ADMIN");
    return claims;
}

void refuse_if_in_use(const PhysicalRange &range, const std::vector<std::string> &claims)
{
    const auto has = [&](std::string_view name) {
        return std::find(claims.begin(), claims.end(), name) != claims.end();
    };
    if (has("System RAM"))
        throw std::runtime_error(show(range) + " overlaps System RAM, which the kernel uses itself: expected "
                                               "memory kept from it, by memmap= or by a device");
    if (has("daxfs"))
        throw std::runtime_error(show(range) + " overlaps an image that is mounted");
}

} // namespace daxfs
