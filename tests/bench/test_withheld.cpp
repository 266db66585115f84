// SPDX-License-Identifier: Apache-2.0
// Children that get a mapping and next to nothing else.
#include <string>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io.hpp"
#include "withheld.hpp"

namespace daxbench {
namespace {

constexpr std::size_t size = 64 * 4096;

/// Writable memory of this process, KiB: what a child would get, and what is kept from it.
struct Inherited {
    long given = 0;
    long withheld = 0;
};

Inherited inherited()
{
    Inherited sum;
    long resident = 0;
    const auto text = read_file("/proc/self/smaps");
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        const auto line = text.substr(at, end - at);
        at = end + 1;
        if (line.starts_with("Anonymous:"))
            resident = std::stol(line.substr(10));
        if (line.starts_with("VmFlags:"))
            (line.find(" dc") == std::string::npos ? sum.given : sum.withheld) += resident;
    }
    return sum;
}

TEST(WithheldMemory, LeavesAChildTheMappingAndTheThreadsPagesOnly)
{
    void *const map =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    ASSERT_NE(map, MAP_FAILED);
    const auto start = reinterpret_cast<std::uintptr_t>(map);
    const Inherited before = inherited();
    EXPECT_GT(before.given, long{size / 1024});
    {
        const WithheldMemory withheld({start, start + size});
        const Inherited meanwhile = inherited();
        EXPECT_GE(meanwhile.given, long{size / 1024});
        EXPECT_LE(meanwhile.given, long{size / 1024} + 3 * 4);
        for (int i = 0; i < 3; ++i) {
            const pid_t child = fork_and_leave();
            ASSERT_GT(child, 0);
            int status = -1;
            EXPECT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_EQ(status, 0);
        }
    }
    EXPECT_EQ(inherited().withheld, before.withheld);
    ::munmap(map, size);
}

TEST(WithheldMemory, ChildrenAreWholeAgainAfterwards)
{
    const std::string word = "inherited";
    {
        const WithheldMemory withheld({});
    }
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(word == "inherited" ? 0 : 1);
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace daxbench
