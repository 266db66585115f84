// SPDX-License-Identifier: Apache-2.0
#include "host_memory.hpp"

#include <charconv>
#include <string>

#include <fmt/format.h>

#include "cache.hpp"

namespace daxbench {

namespace {

std::string_view next_line(std::string_view &text)
{
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

// "Rss:                 123 kB" → bytes; 0 for other lines.
std::uint64_t kilobytes(std::string_view line, std::string_view name)
{
    if (!line.starts_with(name))
        return 0;
    line.remove_prefix(name.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    std::uint64_t value = 0;
    std::from_chars(line.data(), line.data() + line.size(), value);
    return value * 1024;
}

// A mapping's first line: "7f00-7f10 rw-s 00000000 00:01 1034      /memfd:… (deleted)".
bool is_header(std::string_view line)
{
    const auto colon = line.find(':');
    const auto space = line.find(' ');
    return space != std::string_view::npos && line.substr(0, space).find('-') != line.npos &&
           (colon == line.npos || colon > space);
}

// What follows the five fields address, permissions, offset, device, inode.
std::string_view mapped_path(std::string_view line)
{
    for (int field = 0; field < 5; ++field) {
        line.remove_prefix(std::min(line.find(' '), line.size()));
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    }
    return line;
}

void add(MemoryUse &use, const MemoryUse &more)
{
    use.rss += more.rss;
    use.pss += more.pss;
}

} // namespace

HostMemory parse_smaps(std::string_view smaps, const std::filesystem::path &image)
{
    HostMemory memory;
    MemoryUse *part = &memory.rest;
    bool of_file = false;
    const auto image_path = image.string();
    while (!smaps.empty()) {
        const auto line = next_line(smaps);
        if (is_header(line)) {
            const auto path = mapped_path(line);
            if (!image_path.empty() && path == image_path)
                part = &memory.image;
            else if (path.starts_with("/memfd:"))
                part = &memory.ram;
            else
                part = &memory.rest;
            of_file = part == &memory.rest && path.starts_with("/");
            continue;
        }
        const MemoryUse use{kilobytes(line, "Rss:"), kilobytes(line, "Pss:")};
        add(*part, use);
        if (of_file)
            add(memory.files, use);
        add(memory.total, use);
    }
    return memory;
}

void add_status(HostMemory &memory, std::string_view status)
{
    while (!status.empty()) {
        auto line = next_line(status);
        // "VmRSS:\t  123 kB": a tab, where smaps has blanks
        for (const std::string_view name : {"VmRSS:\t", "VmPTE:\t"})
            if (line.starts_with(name))
                (name == "VmRSS:\t" ? memory.resident : memory.page_tables) = kilobytes(line, name);
    }
}

HostMemory host_memory(pid_t pid, const std::filesystem::path &image)
{
    const auto path = image.empty() ? image : std::filesystem::canonical(image);
    auto memory = parse_smaps(read_file(fmt::format("/proc/{}/smaps", pid)), path);
    add_status(memory, read_file(fmt::format("/proc/{}/status", pid)));
    return memory;
}

} // namespace daxbench
