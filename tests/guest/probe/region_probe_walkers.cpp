// SPDX-License-Identifier: Apache-2.0
// Runs in a guest: who walks page tables, who keeps a page, who holds an inode without a name, and
// who waits inside a read.
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "region_probe.hpp"
#include "unique_fd.hpp"

namespace {

using daxfs::UniqueFd;
using namespace probe;

// Of kernels later than the headers here.
constexpr std::uint64_t wp_unpopulated = 1U << 13;
constexpr std::uint64_t wp_async = 1U << 15;

struct ProcmapQuery { // linux/fs.h of 6.11
    std::uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset,
        inode;
    std::uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    std::uint64_t vma_name_addr, build_id_addr;
};

/// A page of the mapping in a pipe, or an errno: what get_user_pages_fast() finds.
int splice_page(const char *at, int pipe_end)
{
    const iovec from{const_cast<char *>(at), page};
    return vmsplice(pipe_end, &from, 1, SPLICE_F_NONBLOCK) == static_cast<ssize_t>(page) ? 0 : errno;
}

struct Pipe {
    Pipe() { EXPECT_EQ(pipe(ends.data()), 0); }
    ~Pipe() { close(ends[0]), close(ends[1]); }
    std::array<int, 2> ends{};

    /// Takes a page out; true if it holds only this.
    bool holds(char wanted) const
    {
        std::array<char, page> got{};
        if (read(ends[0], got.data(), page) != static_cast<ssize_t>(page))
            return false;
        for (const char byte : got)
            if (byte != wanted)
                return false;
        return true;
    }
};

void read_all(const std::string &path)
{
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    EXPECT_FALSE(text.empty()) << path;
}

/// Everyone who can be made to walk the page tables of this mapping, by its owner.
void be_walked(char *mapping)
{
    for (const int advice :
         {MADV_COLD, MADV_PAGEOUT, MADV_MERGEABLE, MADV_WILLNEED, MADV_POPULATE_READ, 25 /* MADV_COLLAPSE */})
        madvise(mapping, mapped, advice);
    std::array<unsigned char, mapped / page> resident{};
    EXPECT_EQ(mincore(mapping, mapped, resident.data()), 0);
    void *at = mapping + huge / 2;
    int node = 0, status = 0;
    syscall(SYS_move_pages, 0, 1L, &at, &node, &status, 2 /* MPOL_MF_MOVE */);
    const unsigned long nodes = 1;
    syscall(SYS_mbind, mapping, mapped, 2 /* MPOL_BIND */, &nodes, 8UL, 3U /* STRICT, MOVE */);
    mlock(mapping, mapped);
    munlock(mapping, mapped);
    read_all("/proc/self/smaps");
    write_to("/proc/self/clear_refs", "1");
    write_to("/proc/self/clear_refs", "4");
    const pid_t child = fork();
    if (child == 0)
        _exit(reads(mapping + huge, 'b') ? 0 : 1);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(mprotect(mapping + page, page, PROT_NONE), 0);
    EXPECT_EQ(mprotect(mapping + page, page, PROT_READ), 0);
    // EINVAL for a shared mapping of memory without pages.
    madvise(mapping + 2 * page, 3 * page, MADV_DONTNEED);
    std::array<char, 32> id{};
    ProcmapQuery query{};
    query.size = sizeof query;
    query.query_addr = reinterpret_cast<std::uintptr_t>(mapping);
    query.build_id_size = id.size();
    query.build_id_addr = reinterpret_cast<std::uintptr_t>(id.data());
    const UniqueFd maps(open("/proc/self/maps", O_RDONLY));
    // PROCMAP_QUERY; the file has no build ID.
    if (ioctl(maps.get(), _IOWR(0x9f, 17, ProcmapQuery), &query) == 0) {
        EXPECT_EQ(query.build_id_size, 0U);
    }
}

/// All of both ways to map the file is touched, walked, touched again and written to.
void check_mappings(bool pages)
{
    char *shared = map_big(MAP_SHARED);
    char *other = map_big(MAP_PRIVATE, PROT_READ | PROT_WRITE);
    ASSERT_TRUE(shared && other);
    for (std::size_t at = 0; at < mapped; at += page)
        ASSERT_TRUE(reads(shared + at, 'b') && reads(other + at, 'b'));
    for (char *mapping : {shared, other}) {
        std::array<char, 8> got{};
        const iovec to{got.data(), got.size()};
        const Pipe pipe;
        for (const std::size_t at : {std::size_t{0}, huge / 2, huge}) {
            const iovec from{mapping + at, got.size()};
            EXPECT_EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), pages ? 8 : -1);
            const int error = splice_page(mapping + at, pipe.ends[1]);
            EXPECT_TRUE(pages ? error == 0 : error == EFAULT || error == EEXIST) << error;
            if (pages) {
                EXPECT_TRUE(pipe.holds('b'));
            }
            EXPECT_NE(frame_of(mapping + at), ~0ULL);
        }
        const UniqueFd memory(open("/proc/self/mem", O_RDONLY));
        EXPECT_EQ(pread(memory.get(), got.data(), got.size(),
                        static_cast<off_t>(reinterpret_cast<std::uintptr_t>(mapping + huge))),
                  8);
        EXPECT_EQ(got[0], 'b');
        be_walked(mapping);
    }
    for (std::size_t at = 0; at < mapped; at += page)
        ASSERT_TRUE(reads(shared + at, 'b') && reads(other + at, 'b')) << at;
    // A write copies the page, whether it had been read or not.
    char *unread = map_big(MAP_PRIVATE, PROT_READ | PROT_WRITE);
    mprotect(other, mapped, PROT_READ | PROT_WRITE);
    for (char *mapping : {other, unread}) {
        mapping[huge] = 'w';
        EXPECT_EQ(mapping[huge], 'w');
        EXPECT_EQ(mapping[huge - 1], 'b');
        EXPECT_EQ(mapping[huge + 1], 'b');
        EXPECT_EQ(mapping[huge + page - 1], 'b');
    }
    EXPECT_EQ(shared[huge], 'b');
    // A part goes, the rest stays: what was one large entry is none any more.
    EXPECT_EQ(munmap(shared + huge / 2, 5 * page), 0);
    EXPECT_TRUE(reads(shared + huge / 2 - page, 'b') && reads(shared + huge / 2 + 5 * page, 'b'));
    EXPECT_EQ(munmap(shared, mapped), 0);
}

/// Waits so many tenths of a second for a child to end.
bool ends_within(pid_t child, int tenths, int &status)
{
    for (; tenths; --tenths, usleep(100000))
        if (waitpid(child, &status, WNOHANG) == child)
            return true;
    return false;
}

/// `end` runs in a process of its own while a pipe holds a page: it has to wait for the pipe.
template <typename End> void check_held_by_a_pipe(End end)
{
    char *mapping = map_big(MAP_SHARED);
    ASSERT_TRUE(reads(mapping + page, 'b'));
    Pipe pipe;
    ASSERT_EQ(splice_page(mapping + page, pipe.ends[1]), 0);
    ASSERT_EQ(munmap(mapping, mapped), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        close(pipe.ends[0]);
        close(pipe.ends[1]);
        end();
        _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    EXPECT_FALSE(ends_within(child, 10, status)) << "the page is held by the pipe";
    EXPECT_TRUE(pipe.holds('b'));
    EXPECT_TRUE(ends_within(child, 100, status));
    EXPECT_EQ(status, 0);
}

} // namespace

TEST(Region, HasPages)
{
    check_mappings(true);
}

// Nothing there is a page to the core, in whichever way it is asked.
TEST(Region, HasNoPages)
{
    check_mappings(false);
}

TEST(Region, IsNotUnmountedUnderAPipe)
{
    check_held_by_a_pipe([] { EXPECT_EQ(umount2(root.c_str(), 0), 0) << strerror(errno); });
}

TEST(Region, DoesNotGoUnderAPipe)
{
    check_held_by_a_pipe([] { take_away(); });
}

// A reader whose memory somebody else must fill does not keep the device from going.
TEST(Region, GoesAwayUnderAReaderThatWaits)
{
    const UniqueFd faults(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)));
    ASSERT_TRUE(faults) << strerror(errno);
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    ASSERT_EQ(ioctl(faults.get(), UFFDIO_API, &api), 0);
    void *buffer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register wanted{};
    wanted.range = {reinterpret_cast<std::uintptr_t>(buffer), page};
    wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
    ASSERT_EQ(ioctl(faults.get(), UFFDIO_REGISTER, &wanted), 0);
    const UniqueFd file(open((root + "/big").c_str(), O_RDONLY));
    const UniqueFd dir(open(root.c_str(), O_RDONLY | O_DIRECTORY));
    std::thread reader([&] { EXPECT_EQ(pread(file.get(), buffer, page, 0), -1); });
    pollfd waits{faults.get(), POLLIN, 0};
    EXPECT_EQ(poll(&waits, 1, 10000), 1);
    const pid_t child = fork();
    if (child == 0) {
        take_away();
        _exit(0);
    }
    int status = -1;
    EXPECT_TRUE(ends_within(child, 100, status)) << "the device waits for the reader";
    uffdio_zeropage zero{};
    zero.range = wanted.range;
    EXPECT_EQ(ioctl(faults.get(), UFFDIO_ZEROPAGE, &zero), 0);
    reader.join();
    if (status == -1) {
        waitpid(child, &status, 0);
    }
    EXPECT_EQ(status, 0);
}

// Write protection of what is not mapped yet leaves marks in the page tables; they end no fault.
TEST(Region, IsReadWhereUserfaultfdLeftMarks)
{
    const UniqueFd faults(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)));
    ASSERT_TRUE(faults) << strerror(errno);
    uffdio_api api{.api = UFFD_API, .features = wp_async | wp_unpopulated, .ioctls = 0};
    ASSERT_EQ(ioctl(faults.get(), UFFDIO_API, &api), 0) << strerror(errno);
    char *mapping = map_big(MAP_PRIVATE, PROT_READ | PROT_WRITE);
    const auto start = reinterpret_cast<std::uintptr_t>(mapping);
    uffdio_register wanted{};
    wanted.range = {start, mapped};
    wanted.mode = UFFDIO_REGISTER_MODE_WP;
    ASSERT_EQ(ioctl(faults.get(), UFFDIO_REGISTER, &wanted), 0) << strerror(errno);
    ASSERT_TRUE(reads(mapping + 9 * page, 'b'));
    uffdio_writeprotect protect{{start, mapped}, UFFDIO_WRITEPROTECT_MODE_WP};
    ASSERT_EQ(ioctl(faults.get(), UFFDIO_WRITEPROTECT, &protect), 0) << strerror(errno);
    alarm(20); // it hangs otherwise
    for (std::size_t at = 0; at < mapped; at += page)
        ASSERT_TRUE(reads(mapping + at, 'b')) << at;
    const Pipe pipe;
    EXPECT_EQ(write(pipe.ends[1], mapping + 7 * page, page), static_cast<ssize_t>(page));
    mapping[11 * page] = 'w';
    EXPECT_TRUE(reads(mapping + 11 * page, 'w') && reads(mapping + 11 * page + 1, 'b'));
    alarm(0);
}

// Who holds an inode and not its name is told of what is done to the file by that name later.
TEST(Region, KeepsInodesThatAreWatched)
{
    const UniqueFd events(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    ASSERT_GE(inotify_add_watch(events.get(), (root + "/file").c_str(), IN_OPEN), 0);
    write_to("/proc/sys/vm/drop_caches", "2");
    const UniqueFd file(open((root + "/file").c_str(), O_RDONLY));
    pollfd waits{events.get(), POLLIN, 0};
    EXPECT_EQ(poll(&waits, 1, 2000), 1);
}

// A read that must not wait does not have to.
TEST(Region, IsReadWithoutWaiting)
{
    std::array<char, page> buffer{};
    buffer[0] = 1; // there
    const iovec to{buffer.data(), buffer.size()};
    const UniqueFd file(open((root + "/big").c_str(), O_RDONLY | O_DIRECT));
    EXPECT_EQ(preadv2(file.get(), &to, 1, 0, RWF_NOWAIT), static_cast<ssize_t>(page)) << strerror(errno);
    EXPECT_EQ(buffer[page - 1], 'b');
}
