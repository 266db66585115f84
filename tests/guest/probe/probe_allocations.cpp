// SPDX-License-Identifier: Apache-2.0
// Reads and faults allocate nothing but page tables: what the kernel's own kmem tracepoints say.
#include <fstream>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.hpp"

namespace probe {

using daxbench::UniqueFd;

namespace {

constexpr std::size_t page = 4096;
const std::string tracing = "/sys/kernel/tracing";

/// Allocations of this process while something ran.
struct Allocated {
    std::size_t objects = 0;     // kmalloc and slab caches
    std::size_t pages = 0;       // calls of the page allocator, page tables among them
    std::size_t page_tables = 0; // pages that the process's page tables grew by
    std::string trace;
};

std::size_t page_tables()
{
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
        if (word == "VmPTE:") {
            std::size_t kib;
            status >> kib;
            return kib / 4;
        }
    throw std::runtime_error("expected VmPTE in /proc/self/status");
}

class Tracer {
public:
    Tracer()
    {
        mount("tracefs", tracing.c_str(), "tracefs", 0, nullptr);
        write_file("tracing_on", "0");
        write_file("set_event_pid", std::to_string(getpid()));
        write_file("events/kmem/mm_page_alloc/enable", "1");
        // The _node ones are events of their own in 6.1 only.
        for (const std::string name :
             {"kmalloc", "kmem_cache_alloc", "kmalloc_node", "kmem_cache_alloc_node"})
            if (access((tracing + "/events/kmem/" + name).c_str(), F_OK) == 0)
                write_file("events/kmem/" + name + "/enable", "1");
        switch_ = daxbench::open_file(tracing + "/tracing_on", O_WRONLY);
    }

    ~Tracer()
    {
        write_file("events/kmem/enable", "0");
        write_file("set_event_pid", " ");
        write_file("tracing_on", "1");
    }

    template <typename Work> Allocated count(const Work &work)
    {
        write_file("trace", "");
        Allocated seen;
        const auto tables = page_tables();
        on("1");
        work();
        on("0");
        seen.page_tables = page_tables() - tables;
        read_trace(seen);
        return seen;
    }

private:
    static void write_file(const std::string &name, const std::string &text)
    {
        const auto fd = daxbench::open_file(tracing + "/" + name, O_WRONLY | O_TRUNC);
        if (write(fd.get(), text.data(), text.size()) < 0)
            daxbench::throw_errno("cannot write " + name);
    }

    void on(const char *state)
    {
        if (pwrite(switch_.get(), state, 1, 0) != 1)
            daxbench::throw_errno("cannot switch tracing");
    }

    static void read_trace(Allocated &seen)
    {
        std::istringstream trace(daxbench::read_file(tracing + "/trace"));
        for (std::string line; std::getline(trace, line);) {
            const auto cpu = line.find("] ");
            if (line.starts_with('#') || cpu == std::string::npos)
                continue;
            // Flags: irqs-off, need-resched, hardirq/softirq. An interrupt is not of our doing.
            if (line.at(cpu + 4) != '.')
                continue;
            if (line.find(" mm_page_alloc: ") != std::string::npos)
                ++seen.pages;
            else
                ++seen.objects;
            seen.trace += line + "\n";
        }
    }

    UniqueFd switch_;
};

/// A file of page cache beside the one of the image, to see that the counting counts.
UniqueFd empty_file(std::size_t pages)
{
    UniqueFd fd(memfd_create("control", 0));
    if (!fd || ftruncate(fd.get(), static_cast<off_t>(pages * page)) < 0)
        daxbench::throw_errno("cannot make a memory file");
    return fd;
}

void touch(char *map, std::size_t pages)
{
    for (std::size_t i = 0; i < pages; ++i)
        (void)*static_cast<volatile char *>(map + i * page);
}

class Allocations : public testing::TestWithParam<std::string> {};

} // namespace

TEST_P(Allocations, NoneByReads)
{
    const UniqueFd fd = open_read(root + "/" + GetParam());
    const auto pages = static_cast<std::size_t>(lseek(fd.get(), 0, SEEK_END)) / page;
    std::vector<char> buffer(128 << 10, 'x');
    ASSERT_EQ(pread(fd.get(), buffer.data(), page, 0), 4096);
    Tracer tracer;
    const auto random = tracer.count([&] {
        for (std::size_t i = 0; i < 1000; ++i)
            if (pread(fd.get(), buffer.data(), page, static_cast<off_t>(i * 7919 % pages * page)) != 4096)
                std::abort();
    });
    EXPECT_EQ(random.objects + random.pages, 0U) << random.trace;
    const auto in_order = tracer.count([&] {
        lseek(fd.get(), 0, SEEK_SET);
        while (read(fd.get(), buffer.data(), buffer.size()) > 0) {
        }
    });
    EXPECT_EQ(in_order.objects + in_order.pages, 0U) << in_order.trace;
}

TEST_P(Allocations, PageTablesByFaults)
{
    Tracer tracer;
    for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
        const Mapping map(root + "/" + GetParam(), PROT_READ, flags);
        const auto first = tracer.count([&] { touch(map.data(), map.pages()); });
        EXPECT_EQ(first.objects, 0U) << first.trace;
        EXPECT_EQ(first.pages, first.page_tables) << first.trace;
        EXPECT_LE(first.page_tables, 3U + map.pages() / 512);
        ASSERT_EQ(madvise(map.data(), map.size(), MADV_DONTNEED), 0);
        const auto again = tracer.count([&] { touch(map.data(), map.pages()); });
        EXPECT_EQ(again.objects, 0U) << again.trace;
        EXPECT_EQ(again.pages, again.page_tables) << again.trace;
    }
}

TEST_P(Allocations, ThePageItselfByPrivateWrites)
{
    Mapping map(root + "/" + GetParam(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
    map.at(0)[0] = 'w'; // makes what the kernel keeps of a mapping with pages of its own
    map.at(64)[0] = 'w';
    Tracer tracer;
    const auto written = tracer.count([&] {
        for (std::size_t i = 1; i <= 50; ++i)
            map.at(i)[0] = 'w';
    });
    EXPECT_EQ(written.objects, 0U) << written.trace;
    EXPECT_EQ(written.pages, 50U + written.page_tables) << written.trace;
}

INSTANTIATE_TEST_SUITE_P(Aligned, Allocations, testing::Values("pages"));
INSTANTIATE_TEST_SUITE_P(Packed, Allocations, testing::Values("small-pages"));

TEST(AllocationsOfThePageCache, AreCounted)
{
    Tracer tracer;
    const UniqueFd read_from = empty_file(100);
    std::vector<char> buffer(page, 'x');
    const auto written = tracer.count([&] {
        for (off_t i = 0; i < 100; ++i)
            if (pwrite(read_from.get(), buffer.data(), page, i * 4096) != 4096)
                std::abort();
    });
    EXPECT_GE(written.pages, 100U);
    EXPECT_GT(written.objects, 0U); // nodes of the page cache's tree
    const UniqueFd mapped = empty_file(100);
    auto *map = static_cast<char *>(mmap(nullptr, 100 * page, PROT_READ, MAP_SHARED, mapped.get(), 0));
    ASSERT_NE(map, MAP_FAILED);
    const auto touched = tracer.count([&] { touch(map, 100); });
    EXPECT_GE(touched.pages, 100U + touched.page_tables);
    munmap(map, 100 * page);
}

} // namespace probe
