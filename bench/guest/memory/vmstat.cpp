// SPDX-License-Identifier: Apache-2.0
#include "vmstat.hpp"

#include <charconv>
#include <map>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include "mounts.hpp"

namespace daxbench {

namespace {

using Fields = std::map<std::string, std::uint64_t>;

// By kswapd, by who needs the memory, and on some kernels by others.
std::uint64_t sum_of(const Fields &fields, const std::string &prefix)
{
    std::uint64_t sum = 0;
    bool found = false;
    for (const char *who : {"kswapd", "direct", "khugepaged", "proactive"})
        if (const auto field = fields.find(prefix + who); field != fields.end()) {
            sum += field->second;
            found = true;
        }
    if (!found)
        throw std::runtime_error(fmt::format("expected {}… in /proc/vmstat, it is not there", prefix));
    return sum;
}

std::uint64_t at(const Fields &fields, const std::string &name)
{
    const auto field = fields.find(name);
    if (field == fields.end())
        throw std::runtime_error(fmt::format("expected {} in /proc/vmstat, it is not there", name));
    return field->second;
}

} // namespace

ReclaimCount parse_reclaim(std::string_view vmstat)
{
    Fields fields;
    for (const std::string &line : split(vmstat, '\n')) {
        const auto blank = line.find(' ');
        std::uint64_t value = 0;
        if (blank != std::string::npos &&
            std::from_chars(line.data() + blank + 1, line.data() + line.size(), value).ec == std::errc())
            fields[line.substr(0, blank)] = value;
    }
    ReclaimCount count;
    count.refaulted = at(fields, "workingset_refault_file");
    count.scanned = sum_of(fields, "pgscan_");
    count.reclaimed = sum_of(fields, "pgsteal_");
    count.major_faults = at(fields, "pgmajfault");
    return count;
}

} // namespace daxbench
