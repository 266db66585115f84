// SPDX-License-Identifier: Apache-2.0
#include "physical.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include "io.hpp"
#include "mounts.hpp"

namespace daxbench {

namespace {

constexpr std::uint64_t page_size = 4096;
constexpr int kpf_reserved = 32; // include/linux/kernel-page-flags.h: shown, though not in the user's header

constexpr std::uint64_t bit(int number)
{
    return std::uint64_t{1} << number;
}

std::uint64_t hex_number(std::string_view text)
{
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
}

std::int64_t number_after(std::string_view text)
{
    text = trim(text);
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// The number of the line that starts with NAME; -1 where there is none.
std::int64_t field(std::string_view text, std::string_view name)
{
    for (const std::string &line : split(text, '\n'))
        if (line.starts_with(name))
            return number_after(std::string_view(line).substr(name.size()));
    return -1;
}

std::int64_t kilobytes(std::string_view meminfo, std::string_view name)
{
    return std::max<std::int64_t>(field(meminfo, name), 0) * 1024;
}

/// Sorted, joined where they touch, whole pages only.
std::vector<PhysicalRange> tidy(std::vector<PhysicalRange> ranges)
{
    std::sort(ranges.begin(), ranges.end());
    std::vector<PhysicalRange> tidied;
    for (auto [start, end] : ranges) {
        start = (start + page_size - 1) / page_size * page_size;
        end = end / page_size * page_size;
        if (start >= end)
            continue;
        if (!tidied.empty() && start <= tidied.back().second)
            tidied.back().second = std::max(tidied.back().second, end);
        else
            tidied.emplace_back(start, end);
    }
    return tidied;
}

bool is_in(std::uint64_t address, const std::vector<PhysicalRange> &ranges)
{
    return std::any_of(ranges.begin(), ranges.end(), [address](const PhysicalRange &range) {
        return address >= range.first && address < range.second;
    });
}

/// Page structs of 64 bytes; their memory is mapped by 2 MiB, so a range gets whole such pages.
std::int64_t memmap_of(const std::vector<PhysicalRange> &ranges)
{
    constexpr std::uint64_t covered = (2U << 20) / 64 * page_size;
    std::uint64_t pages = 0;
    for (const auto &[start, end] : ranges)
        pages += (end + covered - 1) / covered - start / covered;
    return static_cast<std::int64_t>(pages << 21);
}

struct Vmalloc {
    std::int64_t all = 0;
    std::int64_t stacks = 0;
};

Vmalloc parse_vmallocinfo(std::string_view text)
{
    Vmalloc sum;
    for (const std::string &line : split(text, '\n')) {
        const auto at = line.find(" pages=");
        if (at == std::string::npos)
            continue;
        const std::int64_t bytes =
            number_after(std::string_view(line).substr(at + 7)) * std::int64_t{page_size};
        sum.all += bytes;
        if (line.find("dup_task_struct") != std::string::npos ||
            line.find("alloc_thread_stack") != std::string::npos ||
            line.find("copy_process") != std::string::npos)
            sum.stacks += bytes;
    }
    return sum;
}

/// One number for each frame of RANGE, in the way of /proc/kpageflags and its sisters; short where the kernel
/// has no page structs.
std::vector<std::uint64_t> read_frames(int fd, const PhysicalRange &range)
{
    std::vector<std::uint64_t> values((range.second - range.first) / page_size);
    const std::size_t wanted = values.size() * 8;
    auto *bytes = reinterpret_cast<char *>(values.data());
    std::size_t at = 0;
    while (at < wanted) {
        const ssize_t got =
            ::pread(fd, bytes + at, wanted - at, static_cast<off_t>(range.first / page_size * 8 + at));
        if (got < 0)
            throw_errno("cannot read what the kernel says of its page frames");
        if (got == 0)
            break;
        at += static_cast<std::size_t>(got);
    }
    // Beyond the last page struct there is nothing that could be in use.
    std::fill(values.begin() + static_cast<std::ptrdiff_t>(at / 8), values.end(), bit(KPF_NOPAGE));
    return values;
}

FrameSums sum_frames(const PhysicalMap &map, int kpageflags)
{
    FrameSums sums;
    for (const PhysicalRange &range : map.ram) {
        FrameKind head = FrameKind::plain;
        std::uint64_t address = range.first;
        for (const std::uint64_t flags : read_frames(kpageflags, range)) {
            const FrameKind kind = kind_of_frame(flags, head);
            if ((flags & bit(KPF_COMPOUND_TAIL)) == 0)
                head = kind;
            sums.by_kind[kind] += page_size;
            if (kind == FrameKind::reserved && is_in(address, map.kernel))
                sums.kernel_image += page_size;
            address += page_size;
        }
    }
    return sums;
}

/// Bytes of frames for which the file has a number that is not 0.
double nonzero(const std::string &path, const std::vector<PhysicalRange> &ranges)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    std::size_t pages = 0;
    for (const PhysicalRange &range : ranges)
        for (const std::uint64_t value : read_frames(fd.get(), range))
            pages += value != 0 && value != bit(KPF_NOPAGE) ? 1 : 0;
    return static_cast<double>(pages * page_size);
}

} // namespace

PhysicalMap parse_physical_map(std::string_view iomem)
{
    PhysicalMap map;
    for (const std::string &line : split(iomem, '\n')) {
        const auto colon = line.find(" : ");
        const auto dash = line.find('-');
        if (colon == std::string::npos || dash == std::string::npos)
            continue;
        const std::string_view text = line;
        const std::string_view name = text.substr(colon + 3);
        const PhysicalRange range{hex_number(trim(text.substr(0, dash))),
                                  hex_number(text.substr(dash + 1)) + 1};
        if (name == "System RAM")
            map.ram.push_back(range);
        else if (name == "Kernel code" || name == "Kernel rodata" || name == "Kernel data" ||
                 name == "Kernel bss")
            map.kernel.push_back(range);
    }
    map.ram = tidy(map.ram);
    map.kernel = tidy(map.kernel);
    map.pmem = tidy(parse_pmem_ranges(iomem));
    return map;
}

std::uint64_t bytes_of(const std::vector<PhysicalRange> &ranges)
{
    std::uint64_t bytes = 0;
    for (const auto &[start, end] : ranges)
        bytes += end - start;
    return bytes;
}

FrameKind kind_of_frame(std::uint64_t flags, FrameKind head)
{
    constexpr std::uint64_t of_files = bit(KPF_LRU) | bit(KPF_UPTODATE) | bit(KPF_UNEVICTABLE) |
                                       bit(KPF_SWAPBACKED) | bit(KPF_MMAP) | bit(KPF_DIRTY) |
                                       bit(KPF_WRITEBACK);
    if (flags & bit(KPF_BUDDY))
        return FrameKind::free;
    if (flags & (bit(KPF_NOPAGE) | bit(KPF_OFFLINE) | bit(kpf_reserved)))
        return FrameKind::reserved;
    if (flags & bit(KPF_COMPOUND_TAIL)) // before 6.8 the marks are on the head alone
        return head;
    if (flags & bit(KPF_HUGE))
        return FrameKind::hugetlb;
    if (flags & bit(KPF_SLAB))
        return FrameKind::slab;
    if (flags & bit(KPF_PGTABLE))
        return FrameKind::page_table;
    if (flags & bit(KPF_ANON))
        return FrameKind::anonymous;
    return flags & of_files ? FrameKind::page_cache : FrameKind::plain;
}

KernelCounters parse_kernel_counters(std::string_view meminfo, std::string_view vmallocinfo,
                                     std::string_view zoneinfo, std::string_view vmstat,
                                     const PhysicalMap &map)
{
    KernelCounters counters;
    counters.slab = kilobytes(meminfo, "Slab:");
    counters.kernel_stack = kilobytes(meminfo, "KernelStack:");
    const Vmalloc vmalloc = parse_vmallocinfo(vmallocinfo);
    // Where stacks are not in vmalloc's memory they are pages of their own.
    counters.vmalloc = vmalloc.all - (vmalloc.stacks > 0 ? counters.kernel_stack : 0);
    for (const std::string &line : split(zoneinfo, '\n'))
        if (trim(line).starts_with("count:"))
            counters.per_cpu_free += number_after(trim(line).substr(6)) * std::int64_t{page_size};
    const std::int64_t made = field(vmstat, "nr_memmap_pages ");
    const std::int64_t at_boot = field(vmstat, "nr_memmap_boot_pages ");
    counters.memmap = made >= 0 ? made * std::int64_t{page_size} : memmap_of(map.pmem);
    counters.memmap_boot = at_boot >= 0 ? at_boot * std::int64_t{page_size} : memmap_of(map.ram);
    return counters;
}

std::map<std::string, double> account(const PhysicalMap &map, const FrameSums &sums,
                                      const KernelCounters &counters)
{
    const auto kind = [&sums](FrameKind which) {
        const auto found = sums.by_kind.find(which);
        return found == sums.by_kind.end() ? std::int64_t{0} : found->second;
    };
    const std::int64_t slab = kind(FrameKind::slab);
    const std::int64_t large = std::max<std::int64_t>(counters.slab - slab, 0);
    const std::int64_t boot = kind(FrameKind::reserved) - sums.kernel_image - counters.memmap_boot;
    const std::int64_t unaccounted = kind(FrameKind::plain) - counters.kernel_stack - counters.vmalloc -
                                     counters.per_cpu_free - counters.memmap - large;
    const auto total = static_cast<std::int64_t>(bytes_of(map.ram) + bytes_of(map.pmem));
    std::map<std::string, std::int64_t> bytes = {
        {"frames_total_bytes", total},
        {"frames_pmem_bytes", static_cast<std::int64_t>(bytes_of(map.pmem))},
        {"frames_page_cache_bytes", kind(FrameKind::page_cache)},
        {"frames_anonymous_bytes", kind(FrameKind::anonymous)},
        {"frames_page_table_bytes", kind(FrameKind::page_table)},
        {"frames_slab_bytes", slab},
        {"frames_large_kmalloc_bytes", large},
        {"frames_kernel_stack_bytes", counters.kernel_stack},
        {"frames_vmalloc_bytes", counters.vmalloc},
        {"frames_memmap_bytes", counters.memmap_boot + counters.memmap},
        {"frames_hugetlb_bytes", kind(FrameKind::hugetlb)},
        {"frames_kernel_image_bytes", sums.kernel_image},
        {"frames_boot_bytes", boot},
        {"frames_free_bytes", kind(FrameKind::free) + counters.per_cpu_free},
        {"unaccounted_bytes", unaccounted}};
    std::map<std::string, double> answer;
    for (const auto &[name, value] : bytes)
        answer[name] = static_cast<double>(value);
    answer["unaccounted_ratio"] = std::abs(double(unaccounted)) / double(total);
    return answer;
}

std::map<std::string, std::int64_t> parse_slabinfo(std::string_view slabinfo)
{
    std::map<std::string, std::int64_t> slabs;
    for (const std::string &line : split(slabinfo, '\n')) {
        // name active objects size objects-a-slab pages-a-slab : tunables … : slabdata active-slabs slabs
        // shared
        std::vector<std::string> words;
        for (const std::string &word : split(line, ' '))
            if (!word.empty())
                words.push_back(word);
        const auto data = std::find(words.begin(), words.end(), "slabdata");
        if (words.size() < 6 || words.end() - data < 3)
            continue;
        slabs[words[0]] = number_after(words[5]) * number_after(data[2]) * std::int64_t{page_size};
    }
    return slabs;
}

PhysicalMemory count_physical_memory()
{
    const PhysicalMap map = parse_physical_map(read_file("/proc/iomem"));
    FrameSums sums;
    {
        const UniqueFd kpageflags = open_file("/proc/kpageflags", O_RDONLY);
        sums = sum_frames(map, kpageflags.get());
    }
    const std::string meminfo = read_file("/proc/meminfo");
    const KernelCounters counters = parse_kernel_counters(
        meminfo, read_file("/proc/vmallocinfo"), read_file("/proc/zoneinfo"), read_file("/proc/vmstat"), map);
    PhysicalMemory memory;
    memory.bytes = account(map, sums, counters);
    memory.slabs = parse_slabinfo(read_file("/proc/slabinfo"));
    memory.bytes["mapcount_pmem_bytes"] = nonzero("/proc/kpagecount", map.pmem);
    memory.bytes["mapcount_ram_bytes"] = nonzero("/proc/kpagecount", map.ram);
    if (::access("/proc/kpagecgroup", R_OK) == 0) {
        memory.bytes["charged_pmem_bytes"] = nonzero("/proc/kpagecgroup", map.pmem);
        memory.bytes["charged_ram_bytes"] = nonzero("/proc/kpagecgroup", map.ram);
    }
    // MemFree has no pages that wait on the CPUs' lists; frames_free_bytes has.
    memory.checks = {{"MemFree and the CPUs' lists", kilobytes(meminfo, "MemFree:") + counters.per_cpu_free},
                     {"Cached and Buffers", kilobytes(meminfo, "Cached:") + kilobytes(meminfo, "Buffers:")},
                     {"AnonPages", kilobytes(meminfo, "AnonPages:")},
                     {"PageTables", kilobytes(meminfo, "PageTables:")},
                     {"Percpu", kilobytes(meminfo, "Percpu:")},
                     {"VmallocUsed", kilobytes(meminfo, "VmallocUsed:")},
                     {"MemTotal", kilobytes(meminfo, "MemTotal:")}};
    return memory;
}

} // namespace daxbench
