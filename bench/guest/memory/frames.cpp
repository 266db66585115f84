// SPDX-License-Identifier: Apache-2.0
#include "frames.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io.hpp"
#include "mounts.hpp"

namespace daxbench {

namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t pagemap_present = std::uint64_t{1} << 63;
constexpr std::uint64_t pagemap_pfn = (std::uint64_t{1} << 55) - 1;

bool has(std::uint64_t flags, int bit)
{
    return (flags >> bit & 1) != 0;
}

std::uint64_t hex_number(std::string_view text)
{
    if (text.starts_with("0x"))
        text.remove_prefix(2);
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
}

struct Mapping {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
};

std::vector<Mapping> mappings_of(pid_t pid)
{
    std::vector<Mapping> mappings;
    for (const std::string &line : split(read_file(fmt::format("/proc/{}/maps", pid)), '\n')) {
        // The kernel's own pages, the same in every process: [vdso], [vvar], [vsyscall].
        if (line.find("[v") != std::string::npos)
            continue;
        const auto dash = line.find('-');
        mappings.push_back({hex_number(std::string_view(line).substr(0, dash)),
                            hex_number(std::string_view(line).substr(dash + 1, 16))});
    }
    return mappings;
}

void add_pfns(int pagemap, const Mapping &mapping, std::vector<std::uint64_t> &pfns)
{
    std::vector<std::uint64_t> entries(4096);
    for (std::uint64_t at = mapping.start; at < mapping.end;) {
        const std::uint64_t pages = std::min((mapping.end - at) / page_size, entries.size());
        const ssize_t got =
            ::pread(pagemap, entries.data(), pages * 8, static_cast<off_t>(at / page_size * 8));
        if (got <= 0)
            throw_errno("cannot read the pagemap of a process");
        for (std::size_t i = 0; i < static_cast<std::size_t>(got) / 8; ++i)
            if (entries[i] & pagemap_present)
                pfns.push_back(entries[i] & pagemap_pfn);
        at += static_cast<std::uint64_t>(got) / 8 * page_size;
    }
}

bool in_ranges(std::uint64_t pfn, const std::vector<PhysicalRange> &ranges)
{
    const std::uint64_t address = pfn * page_size;
    return std::any_of(ranges.begin(), ranges.end(), [&](const PhysicalRange &range) {
        return address >= range.first && address < range.second;
    });
}

void add_frame(std::uint64_t flags, Frames &frames)
{
    if (has(flags, KPF_ZERO_PAGE))
        frames.zero += page_size;
    else if (has(flags, KPF_ANON))
        frames.anonymous += page_size;
    else if (has(flags, KPF_MMAP) && !has(flags, KPF_NOPAGE))
        frames.page_cache += page_size;
    else
        frames.other += page_size;
}

Frames frames_of(std::vector<std::uint64_t> pfns, const std::vector<PhysicalRange> &pmem)
{
    const UniqueFd kpageflags = open_file("/proc/kpageflags", O_RDONLY);
    std::sort(pfns.begin(), pfns.end());
    pfns.erase(std::unique(pfns.begin(), pfns.end()), pfns.end());
    if (!pfns.empty() && pfns.front() == 0)
        throw std::runtime_error("expected page frame numbers, the kernel shows zeros: the agent "
                                 "must run as root");
    Frames frames;
    for (const std::uint64_t pfn : pfns) {
        std::uint64_t flags = 0;
        if (in_ranges(pfn, pmem))
            frames.pmem += page_size;
        else if (::pread(kpageflags.get(), &flags, 8, static_cast<off_t>(pfn * 8)) == 8)
            add_frame(flags, frames);
        else
            frames.other += page_size;
    }
    return frames;
}

} // namespace

std::vector<PhysicalRange> parse_pmem_ranges(std::string_view iomem)
{
    std::vector<PhysicalRange> ranges;
    for (const std::string &line : split(iomem, '\n')) {
        const auto colon = line.find(" : ");
        const auto dash = line.find('-');
        if (colon == std::string::npos || dash == std::string::npos)
            continue;
        const std::string_view name = std::string_view(line).substr(colon + 3);
        const bool is_pmem = name == "Persistent Memory" || name == "Persistent Memory (legacy)" ||
                             name.starts_with("namespace") || name.starts_with("pmem") ||
                             name.starts_with("dax") || name.starts_with("virtio_pmem");
        if (is_pmem)
            ranges.emplace_back(hex_number(trim(std::string_view(line).substr(0, dash))),
                                hex_number(std::string_view(line).substr(dash + 1)) + 1);
    }
    return ranges;
}

std::vector<PhysicalRange> pmem_ranges(const json &workload)
{
    if (!workload.contains("pmem_ranges"))
        return parse_pmem_ranges(read_file("/proc/iomem"));
    std::vector<PhysicalRange> ranges;
    for (const json &range : workload.at("pmem_ranges"))
        ranges.emplace_back(hex_number(range.at(0).get<std::string>()),
                            hex_number(range.at(1).get<std::string>()));
    return ranges;
}

Frames count_frames(const std::vector<ProcessRange> &ranges, const std::vector<PhysicalRange> &pmem)
{
    std::vector<std::uint64_t> pfns;
    for (const ProcessRange &range : ranges) {
        const UniqueFd pagemap = open_file(fmt::format("/proc/{}/pagemap", range.pid), O_RDONLY);
        add_pfns(pagemap.get(), {range.start, range.end}, pfns);
    }
    return frames_of(std::move(pfns), pmem);
}

Frames count_frames(pid_t pid, const std::vector<PhysicalRange> &pmem, std::uint64_t start, std::uint64_t end)
{
    std::vector<ProcessRange> ranges;
    if (end > start)
        ranges.push_back({pid, start, end});
    else
        for (const Mapping &mapping : mappings_of(pid))
            ranges.push_back({pid, mapping.start, mapping.end});
    return count_frames(ranges, pmem);
}

Frames count_frames(const std::vector<pid_t> &pids, const std::vector<PhysicalRange> &pmem)
{
    std::vector<ProcessRange> ranges;
    for (const pid_t pid : pids)
        for (const Mapping &mapping : mappings_of(pid))
            ranges.push_back({pid, mapping.start, mapping.end});
    return count_frames(ranges, pmem);
}

std::vector<ProcessRange> mappings_of_file(pid_t pid, std::string_view maps, std::string_view name)
{
    std::vector<ProcessRange> ranges;
    for (const std::string &line : split(maps, '\n')) {
        if (!line.ends_with(fmt::format("/{}", name)))
            continue;
        const auto dash = line.find('-');
        ranges.push_back({pid, hex_number(std::string_view(line).substr(0, dash)),
                          hex_number(std::string_view(line).substr(dash + 1, 16))});
    }
    return ranges;
}

MappedPages count_mapped(pid_t pid, const std::vector<PhysicalRange> &pmem, const std::string &below)
{
    const UniqueFd pagemap = open_file(fmt::format("/proc/{}/pagemap", pid), O_RDONLY);
    MappedPages pages;
    std::vector<std::uint64_t> pfns;
    bool inside = false;
    for (const std::string &line : split(read_file(fmt::format("/proc/{}/smaps", pid)), '\n')) {
        const auto dash = line.find('-');
        const auto blank = line.find(' ');
        if (dash < blank && line.find(':') > blank) { // "7f00-7f10 r--s 00000000 00:1c 12   /mnt/x/bin/bash"
            inside = line.find(" " + below + "/") != std::string::npos;
            if (!inside)
                continue;
            const Mapping mapping{hex_number(std::string_view(line).substr(0, dash)),
                                  hex_number(std::string_view(line).substr(dash + 1, blank - dash - 1))};
            pages.mapped += mapping.end - mapping.start;
            add_pfns(pagemap.get(), mapping, pfns);
        } else if (inside && line.starts_with("Rss:")) {
            pages.rss += std::stoull(line.substr(4)) * 1024;
        }
    }
    pages.present = pfns.size() * page_size;
    pages.frames = frames_of(std::move(pfns), pmem);
    return pages;
}

std::uint64_t own_page_table_bytes()
{
    for (const std::string &line : split(read_file("/proc/self/status"), '\n'))
        if (line.starts_with("VmPTE:"))
            return std::stoull(line.substr(line.find(':') + 1)) * 1024;
    throw std::runtime_error("expected VmPTE in /proc/self/status, it is not there");
}

} // namespace daxbench
