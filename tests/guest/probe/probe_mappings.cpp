// SPDX-License-Identifier: Apache-2.0
// Mappings: what a process can do with memory that is the image itself.
#include <fstream>
#include <set>
#include <vector>

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.hpp"

namespace probe {

using daxbench::UniqueFd;

namespace {

constexpr std::size_t page = 4096;
const std::string pages = root + "/pages";       // 5 MiB, each page begins with its number
const std::string small = root + "/small-pages"; // the same with 100 pages, packed to 4 KiB

void expect_pages(const Mapping &map)
{
    for (std::uint32_t i = 0; i < map.pages(); ++i)
        ASSERT_EQ(page_number(map.at(i)), i);
}

/// Number of pages from `from` on that are not the image's own, as `image` has them.
std::size_t copied_pages(const Mapping &mine, const Mapping &image)
{
    std::size_t count = 0;
    for (std::size_t i = 0; i < mine.pages(); ++i) {
        (void)*static_cast<volatile char *>(mine.at(i));
        (void)*static_cast<volatile char *>(image.at(i));
        const auto own = frame_at(mine.at(i));
        EXPECT_NE(own, 0U) << i;
        if (own != frame_at(image.at(i)))
            ++count;
    }
    return count;
}

class Mappings : public testing::TestWithParam<std::string> {};

} // namespace

TEST_P(Mappings, ShowTheFile)
{
    for (const int flags : {MAP_SHARED, MAP_PRIVATE, MAP_PRIVATE | MAP_POPULATE}) {
        const Mapping map(GetParam(), PROT_READ, flags);
        expect_pages(map);
    }
    // Not where the window begins, and with an odd length.
    const UniqueFd fd = open_read(GetParam());
    auto *part = static_cast<char *>(mmap(nullptr, 3 * page, PROT_READ, MAP_PRIVATE, fd.get(), 7 * page));
    ASSERT_NE(part, MAP_FAILED);
    EXPECT_EQ(page_number(part + 2 * page), 9U);
    EXPECT_EQ(page_number(part), 7U);
    munmap(part, 3 * page);
}

TEST_P(Mappings, CopyExactlyThePageWritten)
{
    const Mapping image(GetParam(), PROT_READ, MAP_SHARED);
    for (const bool touched_before : {false, true}) {
        Mapping mine(GetParam(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
        if (touched_before)
            expect_pages(mine);
        mine.at(50)[8] = 'x';
        EXPECT_EQ(page_number(mine.at(50)), 50U);
        EXPECT_EQ(copied_pages(mine, image), 1U) << touched_before;
        mine.at(99)[0] = 'y';
        mine.at(51)[0] = 'z';
        EXPECT_EQ(copied_pages(mine, image), 3U) << touched_before;
        EXPECT_EQ(mine.at(50)[8], 'x');
    }
    EXPECT_EQ(image.at(50)[8], 'a' + 50 % 26);
    expect_pages(image);
}

TEST_P(Mappings, AreNotSharedForWriting)
{
    const UniqueFd fd = open_read(GetParam());
    EXPECT_EQ(mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
    EXPECT_EQ(errno, EACCES);
    const Mapping map(GetParam(), PROT_READ, MAP_SHARED);
    EXPECT_ERRNO(mprotect(map.data(), page, PROT_READ | PROT_WRITE), EACCES);
    EXPECT_ERRNO(open(GetParam().c_str(), O_RDWR), EROFS);
}

TEST_P(Mappings, SurviveAFork)
{
    Mapping mine(GetParam(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
    const Mapping shared(GetParam(), PROT_READ, MAP_SHARED);
    mine.at(1)[100] = 'a';
    (void)page_number(shared.at(60));
    const int status = in_child([&] {
        if (mine.at(1)[100] != 'a' || page_number(shared.at(61)) != 61)
            return 1;
        mine.at(1)[100] = 'b';
        mine.at(2)[100] = 'b';
        return mine.at(1)[100] == 'b' && page_number(mine.at(2)) == 2 ? 0 : 2;
    });
    EXPECT_EQ(status, 0);
    EXPECT_EQ(mine.at(1)[100], 'a');
    EXPECT_NE(mine.at(2)[100], 'b');
    expect_pages(shared);
}

TEST_P(Mappings, AreMovedAndResized)
{
    const UniqueFd fd = open_read(GetParam());
    auto *map =
        static_cast<char *>(mmap(nullptr, 20 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0));
    ASSERT_NE(map, MAP_FAILED);
    map[3 * page + 50] = 'm';
    (void)page_number(map + 10 * page);
    auto *there =
        static_cast<char *>(mmap(nullptr, 100 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) +
        13 * page;
    auto *moved =
        static_cast<char *>(mremap(map, 20 * page, 60 * page, MREMAP_MAYMOVE | MREMAP_FIXED, there));
    ASSERT_EQ(moved, there) << strerror(errno);
    EXPECT_EQ(moved[3 * page + 50], 'm');
    for (std::uint32_t i = 0; i < 60; ++i)
        ASSERT_EQ(page_number(moved + i * page), i);
    moved = static_cast<char *>(mremap(moved, 60 * page, 5 * page, 0));
    ASSERT_NE(moved, MAP_FAILED);
    EXPECT_EQ(page_number(moved + 4 * page), 4U);
    EXPECT_EQ(moved[3 * page + 50], 'm');
    munmap(there, 87 * page);
}

TEST_P(Mappings, AreMovedWhole)
{
    // To an address that 2 MiB pages can move to as they are, and to one where they cannot stay.
    constexpr std::size_t huge = 512 * page;
    const Mapping map(GetParam(), PROT_READ, MAP_SHARED);
    const std::size_t length = map.pages() * page;
    auto *space = static_cast<char *>(
        mmap(nullptr, 2 * length + 4 * huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(space, MAP_FAILED);
    auto *aligned = space + (huge - reinterpret_cast<std::uintptr_t>(space) % huge) % huge;
    const UniqueFd fd = open_read(GetParam());
    char *here = aligned;
    ASSERT_EQ(mmap(here, length, PROT_READ, MAP_SHARED | MAP_FIXED, fd.get(), 0), here);
    for (const std::size_t by : {length + huge - length % huge + huge, 17 * page}) {
        for (std::uint32_t i = 0; i < map.pages(); i += 3)
            ASSERT_EQ(page_number(here + i * page), i);
        void *there = aligned + by;
        ASSERT_EQ(mremap(here, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, there), there)
            << strerror(errno);
        here = aligned + by;
        for (std::uint32_t i = 0; i < map.pages(); ++i)
            ASSERT_EQ(page_number(here + i * page), i);
    }
    // Advice on a part makes two mappings of one, and mremap moves one (EFAULT before 6.17), of
    // whatever file they are.
    ASSERT_OK(madvise(here, 10 * page, MADV_RANDOM));
    errno = 0;
    void *moved = mremap(here, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, aligned + length + 2 * huge);
    EXPECT_TRUE(moved != MAP_FAILED || errno == EFAULT) << strerror(errno);
    munmap(space, 2 * length + 4 * huge);
}

TEST_P(Mappings, ChangeTheirProtection)
{
    Mapping map(GetParam(), PROT_READ, MAP_PRIVATE);
    expect_pages(map);
    ASSERT_OK(mprotect(map.data(), map.size(), PROT_NONE));
    const int status = in_child([&] { return static_cast<int>(page_number(map.at(1))); });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    ASSERT_OK(mprotect(map.data(), map.size(), PROT_READ | PROT_WRITE));
    map.at(77)[9] = 'w';
    ASSERT_OK(mprotect(map.data(), map.size(), PROT_READ));
    EXPECT_EQ(map.at(77)[9], 'w');
    const Mapping image(GetParam(), PROT_READ, MAP_SHARED);
    EXPECT_EQ(copied_pages(map, image), 1U);
    // One page in the middle of what a large page may have mapped.
    ASSERT_OK(mprotect(map.at(33), page, PROT_NONE));
    EXPECT_EQ(page_number(map.at(32)), 32U);
    EXPECT_EQ(page_number(map.at(34)), 34U);
}

TEST_P(Mappings, TakeAdvice)
{
    const Mapping map(GetParam(), PROT_READ, MAP_SHARED);
    ASSERT_OK(madvise(map.data(), map.size(), MADV_POPULATE_READ));
    for (std::size_t i = 0; i < map.pages(); ++i)
        ASSERT_NE(frame_at(map.at(i)), 0U) << i;
    expect_pages(map);
    ASSERT_OK(madvise(map.data(), map.size(), MADV_DONTNEED));
    EXPECT_EQ(frame_at(map.at(5)), 0U);
    expect_pages(map);
    ASSERT_OK(madvise(map.data(), map.size(), MADV_HUGEPAGE));
    ASSERT_OK(madvise(map.data(), map.size(), MADV_NOHUGEPAGE));
    ASSERT_OK(madvise(map.data(), map.size(), MADV_DONTNEED));
    expect_pages(map);
    ASSERT_OK(madvise(map.data(), map.size(), MADV_WILLNEED));
    EXPECT_ERRNO(madvise(map.data(), map.size(), MADV_POPULATE_WRITE), EINVAL);

    const Mapping mine(GetParam(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
    mine.at(40)[4] = 'd';
    ASSERT_OK(madvise(mine.at(40), page, MADV_DONTNEED));
    EXPECT_EQ(mine.at(40)[4], 'p'); // the image's again
    ASSERT_OK(madvise(mine.at(20), 10 * page, MADV_POPULATE_WRITE));
    EXPECT_EQ(copied_pages(mine, map), 10U);
    expect_pages(mine);
}

TEST_P(Mappings, AreLocked)
{
    const Mapping map(GetParam(), PROT_READ, MAP_SHARED);
    ASSERT_OK(mlock(map.data(), map.size()));
    for (std::size_t i = 0; i < map.pages(); ++i)
        ASSERT_NE(frame_at(map.at(i)), 0U) << i;
    ASSERT_OK(munlock(map.data(), map.size()));
    Mapping mine(GetParam(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
    ASSERT_OK(mlock(mine.data(), 10 * page));
    expect_pages(mine);
}

TEST_P(Mappings, EndWithTheFile)
{
    const Mapping map(GetParam(), PROT_READ, MAP_SHARED);
    const UniqueFd fd = open_read(GetParam());
    auto *more =
        static_cast<char *>(mmap(nullptr, map.size() + 4 * page, PROT_READ, MAP_SHARED, fd.get(), 0));
    ASSERT_NE(more, MAP_FAILED);
    const auto last = static_cast<std::uint32_t>(map.pages() - 1);
    EXPECT_EQ(page_number(more + last * page), last);
    const int status = in_child([&] { return static_cast<int>(page_number(more + (last + 1) * page)); });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status;
    munmap(more, map.size() + 4 * page);
}

TEST_P(Mappings, GiveTheirPagesToOthers)
{
    const Mapping map(GetParam(), PROT_READ, MAP_SHARED);
    // process_vm_readv pins the pages of another process.
    int ends[2];
    ASSERT_OK(pipe(ends));
    const pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    std::vector<char> buffer(2 * page);
    const iovec here = {buffer.data(), buffer.size()};
    const iovec there = {map.at(41), 2 * page};
    EXPECT_EQ(process_vm_readv(child, &here, 1, &there, 1, 0), 8192) << strerror(errno);
    EXPECT_EQ(page_number(buffer.data() + page), 42U);
    // And so do a debugger's reads.
    ASSERT_OK(ptrace(PTRACE_SEIZE, child, nullptr, nullptr));
    ASSERT_OK(ptrace(PTRACE_INTERRUPT, child, nullptr, nullptr));
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    errno = 0;
    EXPECT_EQ(static_cast<std::uint32_t>(ptrace(PTRACE_PEEKDATA, child, map.at(43), nullptr)), 43U)
        << strerror(errno);
    const UniqueFd memory = open_read("/proc/" + std::to_string(child) + "/mem");
    EXPECT_EQ(pread(memory.get(), buffer.data(), page,
                    static_cast<off_t>(reinterpret_cast<std::uintptr_t>(map.at(45)))),
              4096);
    EXPECT_EQ(page_number(buffer.data()), 45U);
    ASSERT_OK(ptrace(PTRACE_DETACH, child, nullptr, nullptr));
    (void)!write(ends[1], "x", 1);
    waitpid(child, nullptr, 0);
    close(ends[0]);
    close(ends[1]);
    // A futex in a written page of a private mapping. In a shared one the page has no one file that
    // it is of, which docs/design.md says.
    EXPECT_ERRNO(syscall(SYS_futex, map.at(3), FUTEX_WAIT, 4, nullptr, nullptr, 0), EFAULT);
    Mapping mine(GetParam(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
    mine.at(3)[4] = 'f';
    const timespec moment = {0, 1000000};
    EXPECT_ERRNO(syscall(SYS_futex, mine.at(3), FUTEX_WAIT, 4, nullptr, nullptr, 0), EAGAIN);
    EXPECT_ERRNO(syscall(SYS_futex, mine.at(3), FUTEX_WAIT, 3, &moment, nullptr, 0), ETIMEDOUT);
    // Into a pipe without a copy.
    ASSERT_OK(pipe(ends));
    const iovec one = {map.at(44), page};
    EXPECT_EQ(vmsplice(ends[1], &one, 1, 0), 4096) << strerror(errno);
    EXPECT_EQ(read(ends[0], buffer.data(), page), 4096);
    EXPECT_EQ(page_number(buffer.data()), 44U);
    close(ends[0]);
    close(ends[1]);
}

TEST_P(Mappings, AreWrittenByTheDebuggerOfWhoTouchedThem)
{
    const Mapping image(GetParam(), PROT_READ, MAP_SHARED);
    const Mapping mine(GetParam(), PROT_READ, MAP_PRIVATE);
    constexpr std::size_t at = 512, touched = 30, untouched = 90;
    const long word = 0x1122334455667788;
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        if (page_number(mine.at(touched)) != touched)
            _exit(2);
        raise(SIGSTOP);
        for (const auto number : {touched, untouched}) {
            const char *got = mine.at(number), *want = image.at(number);
            if (std::memcmp(got + at, &word, sizeof word) != 0)
                _exit(3);
            if (std::memcmp(got, want, at) != 0 ||
                std::memcmp(got + at + sizeof word, want + at + sizeof word, page - at - sizeof word) != 0)
                _exit(4);
        }
        _exit(page_number(mine.at(touched + 1)) == touched + 1 ? 0 : 5);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSTOPPED(status)) << status;
    for (const auto number : {touched, untouched})
        ASSERT_OK(ptrace(PTRACE_POKEDATA, child, mine.at(number) + at, word));
    ASSERT_OK(ptrace(PTRACE_CONT, child, nullptr, nullptr));
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    // Only its own copy was written.
    expect_pages(image);
    EXPECT_EQ(std::memcmp(mine.data(), image.data(), mine.size()), 0);
}

// Entries that nobody may use have their frames inverted.
TEST_P(Mappings, AreRightAfterNobodyCouldReadThem)
{
    for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
        Mapping map(GetParam(), PROT_NONE, flags);
        const UniqueFd memory = daxbench::open_file("/proc/self/mem", O_RDONLY);
        std::uint32_t first = 1;
        ASSERT_EQ(pread(memory.get(), &first, sizeof first,
                        static_cast<off_t>(reinterpret_cast<std::uintptr_t>(map.at(0)))),
                  4)
            << strerror(errno);
        EXPECT_EQ(first, 0U);
        ASSERT_OK(mprotect(map.data(), map.size(), PROT_READ));
        expect_pages(map);
    }
}

TEST_P(Mappings, AreWrittenToADiskDirectly)
{
    // A loop device takes the pages themselves, not a copy, with O_DIRECT.
    constexpr std::size_t length = 64 * page;
    const UniqueFd control = daxbench::open_file("/dev/loop-control", O_RDWR);
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    ASSERT_OK(number);
    const UniqueFd backing(memfd_create("disk", 0));
    ASSERT_OK(ftruncate(backing.get(), length));
    const UniqueFd disk = daxbench::open_file("/dev/loop" + std::to_string(number), O_RDWR | O_DIRECT);
    ASSERT_OK(ioctl(disk.get(), LOOP_SET_FD, backing.get()));
    for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
        const Mapping map(GetParam(), PROT_READ, flags);
        const std::string nothing(length, '\0');
        ASSERT_EQ(pwrite(backing.get(), nothing.data(), length, 0), ssize_t{length});
        EXPECT_EQ(pwrite(disk.get(), map.at(20), length, 0), ssize_t{length}) << strerror(errno);
        std::string written(length, 'x');
        ASSERT_EQ(pread(backing.get(), written.data(), length, 0), ssize_t{length});
        EXPECT_EQ(std::memcmp(written.data(), map.at(20), length), 0);
        EXPECT_EQ(page_number(written.data() + 5 * page), 25U);
    }
    ASSERT_OK(ioctl(disk.get(), LOOP_CLR_FD));
}

INSTANTIATE_TEST_SUITE_P(Aligned, Mappings, testing::Values(pages));
INSTANTIATE_TEST_SUITE_P(Packed, Mappings, testing::Values(small));

TEST(Programs, RunAndAreBusy)
{
    const std::string program = root + "/probe";
    const int status = in_child([&] {
        execl(program.c_str(), program.c_str(), "capabilities", nullptr);
        return 99;
    });
    EXPECT_EQ(status, 0);

    const pid_t child = fork();
    if (child == 0) {
        execl(program.c_str(), program.c_str(), "sleep", nullptr);
        _exit(99);
    }
    std::string image;
    for (int i = 0; i < 200 && image != program; ++i) {
        char path[256] = {};
        (void)!readlink(("/proc/" + std::to_string(child) + "/exe").c_str(), path, sizeof path - 1);
        image = path;
        usleep(10000);
    }
    EXPECT_EQ(image, program);
    // Busy or read-only: what comes first is the kernel's choice; writing is refused.
    errno = 0;
    EXPECT_LT(open(program.c_str(), O_WRONLY), 0);
    EXPECT_TRUE(errno == ETXTBSY || errno == EROFS) << strerror(errno);
    EXPECT_LT(truncate(program.c_str(), 0), 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

namespace {

/// The core of a process that aborts with a shared and a private mapping; FILTER says what is in it.
std::string core_of_mappings(const char *filter)
{
    std::ofstream("/proc/sys/kernel/core_pattern") << "/tmp/core";
    unlink("/tmp/core");
    const int status = in_child([&] {
        const rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_CORE, &all);
        std::ofstream("/proc/self/coredump_filter") << filter;
        const Mapping map(pages, PROT_READ, MAP_SHARED);
        Mapping mine(small, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        std::memcpy(mine.at(7) + 100, "written for ", 12); // in one piece it is nowhere else
        std::memcpy(mine.at(7) + 112, filter, std::strlen(filter));
        std::abort();
        return 0;
    });
    EXPECT_TRUE(WIFSIGNALED(status) && WCOREDUMP(status)) << status;
    std::ifstream core("/tmp/core", std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(core)), {});
    unlink("/tmp/core");
    return bytes;
}

/// How the page of this number begins, which nothing else does.
std::string begin_of_page(std::uint32_t number)
{
    std::string text(8, '\0');
    std::memcpy(text.data(), &number, 4);
    std::memcpy(text.data() + 4, "page", 4);
    return text;
}

bool contains(const std::string &bytes, const std::string &part)
{
    return bytes.find(part) != std::string::npos;
}

} // namespace

TEST(Programs, DumpCore)
{
    const std::string written = "written for ";
    // The kernel's own choice leaves out what a DAX file has anyway. These first, since what was in
    // one core is in the memory of the next process.
    auto core = core_of_mappings("0x33");
    EXPECT_FALSE(contains(core, begin_of_page(1000))) << core.size() << " bytes of core";
    EXPECT_FALSE(contains(core, written + "0x33"));
    EXPECT_GT(core.size(), 4096U);
    // Bit 8, of shared DAX mappings: what is mapped shared of a file open for reading is none.
    core = core_of_mappings("0x133");
    EXPECT_FALSE(contains(core, begin_of_page(1001))) << core.size() << " bytes of core";
    EXPECT_FALSE(contains(core, written + "0x133"));
    core = core_of_mappings("0xb3"); // bit 7: private ones
    EXPECT_TRUE(contains(core, begin_of_page(1002))) << core.size() << " bytes of core";
    EXPECT_TRUE(contains(core, written + "0xb3"));
}

} // namespace probe
