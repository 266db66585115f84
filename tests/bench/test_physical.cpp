// SPDX-License-Identifier: Apache-2.0
// The sums over a machine's page frames, on texts of a kernel's files.
#include <numeric>

#include <linux/kernel-page-flags.h>

#include <gtest/gtest.h>

#include "physical.hpp"

namespace daxbench {
namespace {

constexpr std::uint64_t bit(int number)
{
    return std::uint64_t{1} << number;
}

const std::string iomem = "00000000-00000fff : Reserved\n"
                          "00001000-0009fbff : System RAM\n"
                          "000f0000-000fffff : System ROM\n"
                          "00100000-004fffff : System RAM\n"
                          "  00100000-001fffff : Kernel code\n"
                          "  00200000-0027ffff : Kernel rodata\n"
                          "  00300000-003fffff : Kernel bss\n"
                          "140000000-1407fffff : Persistent Memory\n"
                          "  140000000-1407fffff : namespace0.0\n";

const std::string meminfo = "MemTotal:        5000 kB\n"
                            "Slab:              40 kB\n"
                            "KernelStack:       32 kB\n";

const std::string vmallocinfo =
    "0xffffc90000000000-0xffffc90000005000   20480 dup_task_struct+0x50/0x260 pages=8 vmalloc N0=8\n"
    "0xffffc90000005000-0xffffc90000008000   12288 load_module+0x1/0x2 pages=3 vmalloc N0=3\n"
    "0xffffc90000009000-0xffffc9000000b000    8192 acpi_os_map_iomem+0x1/0x2 phys=0x1 ioremap\n";

const std::string zoneinfo = "Node 0, zone      DMA\n  pages free     3\n  pagesets\n    cpu: 0\n"
                             "              count:    2\n              high:     4\n"
                             "    cpu: 1\n              count:    1\n";

const std::string vmstat = "nr_free_pages 3\nnr_memmap_pages 4\nnr_memmap_boot_pages 20\n";

PhysicalMap map()
{
    return parse_physical_map(iomem);
}

KernelCounters counters()
{
    return parse_kernel_counters(meminfo, vmallocinfo, zoneinfo, vmstat, map());
}

/// Of the RAM's pages in test order: all that is not named is free.
FrameSums sums(std::int64_t plain_pages)
{
    FrameSums sums;
    sums.kernel_image = 0x280000;
    sums.by_kind = {{FrameKind::reserved, sums.kernel_image + std::int64_t{30} * 4096},
                    {FrameKind::slab, 8 * 4096},
                    {FrameKind::page_cache, 7 * 4096},
                    {FrameKind::plain, plain_pages * 4096}};
    std::int64_t used = 0;
    for (const auto &[kind, bytes] : sums.by_kind)
        used += bytes;
    sums.by_kind[FrameKind::free] = static_cast<std::int64_t>(bytes_of(map().ram)) - used;
    return sums;
}

TEST(PhysicalMap, HasWholePagesOfRamAndPmemOnce)
{
    EXPECT_EQ(map().ram, (std::vector<PhysicalRange>{{0x1000, 0x9f000}, {0x100000, 0x500000}}));
    EXPECT_EQ(map().pmem, (std::vector<PhysicalRange>{{0x140000000, 0x140800000}}));
    EXPECT_EQ(bytes_of(map().kernel), 0x280000U);
}

TEST(Frames, AreOfOneKindEach)
{
    const auto alone = [](std::uint64_t flags) { return kind_of_frame(flags, FrameKind::plain); };
    EXPECT_EQ(alone(bit(KPF_BUDDY)), FrameKind::free);
    EXPECT_EQ(alone(bit(KPF_SLAB)), FrameKind::slab);
    EXPECT_EQ(alone(bit(KPF_PGTABLE)), FrameKind::page_table);
    EXPECT_EQ(alone(bit(KPF_ANON) | bit(KPF_MMAP) | bit(KPF_LRU) | bit(KPF_SWAPBACKED)),
              FrameKind::anonymous);
    EXPECT_EQ(alone(bit(KPF_SWAPBACKED) | bit(KPF_LRU)), FrameKind::page_cache); // tmpfs
    EXPECT_EQ(alone(bit(KPF_UNEVICTABLE)), FrameKind::page_cache);               // ramfs
    EXPECT_EQ(alone(bit(KPF_UPTODATE)), FrameKind::page_cache);
    EXPECT_EQ(alone(bit(32)), FrameKind::reserved);
    EXPECT_EQ(alone(bit(KPF_NOPAGE)), FrameKind::reserved);
    EXPECT_EQ(alone(bit(KPF_HUGE) | bit(KPF_COMPOUND_HEAD)), FrameKind::hugetlb);
    EXPECT_EQ(alone(0), FrameKind::plain);
}

TEST(Frames, ATailIsWhatItsHeadIs)
{
    EXPECT_EQ(kind_of_frame(bit(KPF_COMPOUND_TAIL), FrameKind::slab), FrameKind::slab);
    EXPECT_EQ(kind_of_frame(bit(KPF_COMPOUND_TAIL) | bit(KPF_BUDDY), FrameKind::slab), FrameKind::free);
}

TEST(KernelCounters, AreReadFromTheKernelsTexts)
{
    const auto all = counters();
    EXPECT_EQ(all.kernel_stack, 32 * 1024);
    EXPECT_EQ(all.vmalloc, 3 * 4096);
    EXPECT_EQ(all.per_cpu_free, 3 * 4096);
    EXPECT_EQ(all.memmap, 4 * 4096);
    EXPECT_EQ(all.memmap_boot, 20 * 4096);
}

// Before 6.11: 64 bytes a page, in whole 2 MiB.
TEST(KernelCounters, PageStructsFollowFromTheRangesWhereNobodyCountsThem)
{
    const auto all = parse_kernel_counters(meminfo, vmallocinfo, zoneinfo, "nr_free_pages 3\n", map());
    EXPECT_EQ(all.memmap, 2 << 20);
}

TEST(KernelCounters, StacksOutsideOfVmallocAreNotTakenFromIt)
{
    const auto all = parse_kernel_counters(
        meminfo, "0x1-0x2   12288 load_module+0x1/0x2 pages=3 vmalloc N0=3\n", zoneinfo, vmstat, map());
    EXPECT_EQ(all.vmalloc, 3 * 4096);
}

double sum_of_kinds(const std::map<std::string, double> &bytes)
{
    double sum = 0;
    for (const auto &[metric, value] : bytes)
        if ((metric.starts_with("frames_") && metric != "frames_total_bytes") ||
            metric == "unaccounted_bytes")
            sum += value;
    return sum;
}

TEST(Accounting, ClosesAndSaysWhatIsLeft)
{
    // 8 of stacks, 3 of vmalloc, 3 free on the lists, 4 of page structs, 2 of large kmalloc, 5 of nobody.
    const auto bytes = account(map(), sums(25), counters());
    EXPECT_EQ(bytes.at("unaccounted_bytes"), 5 * 4096);
    EXPECT_EQ(bytes.at("frames_large_kmalloc_bytes"), 2 * 4096);
    EXPECT_EQ(bytes.at("frames_boot_bytes"), 10 * 4096);
    EXPECT_EQ(bytes.at("frames_memmap_bytes"), 24 * 4096);
    EXPECT_EQ(bytes.at("frames_total_bytes"), 0x9e000 + 0x400000 + 0x800000);
    EXPECT_EQ(sum_of_kinds(bytes), bytes.at("frames_total_bytes"));
    EXPECT_DOUBLE_EQ(bytes.at("unaccounted_ratio"), 5 * 4096.0 / (0x9e000 + 0x400000 + 0x800000));
}

TEST(Accounting, CountersThatSayMoreThanThereIsShow)
{
    const auto bytes = account(map(), sums(10), counters());
    EXPECT_EQ(bytes.at("unaccounted_bytes"), -10 * 4096);
    EXPECT_GT(bytes.at("unaccounted_ratio"), 0);
    EXPECT_EQ(sum_of_kinds(bytes), bytes.at("frames_total_bytes"));
}

TEST(Slabinfo, GivesBytesByCache)
{
    const auto slabs = parse_slabinfo(
        "slabinfo - version: 2.1\n"
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables …\n"
        "dentry             21000  21063    192   21    1 : tunables    0    0    0 : slabdata   1003   1003 "
        "     0\n"
        "daxfs_inode        10000  10010    640   25    4 : tunables    0    0    0 : slabdata    400    401 "
        "     0\n");
    EXPECT_EQ(slabs.size(), 2U);
    EXPECT_EQ(slabs.at("dentry"), 1003 * 4096);
    EXPECT_EQ(slabs.at("daxfs_inode"), 401 * 4 * 4096);
}

} // namespace
} // namespace daxbench
