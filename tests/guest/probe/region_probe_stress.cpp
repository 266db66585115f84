// SPDX-License-Identifier: Apache-2.0
// Runs in a guest: processes that do at random to mappings of files what a process can do to them, and
// verify every byte; meanwhile caches are dropped, pages fail, and at the end the memory goes.
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <new>
#include <random>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "region_probe.hpp"
#include "stress_files.hpp"
#include "unique_fd.hpp"

namespace {

using daxfs::UniqueFd;
using namespace probe;

/// How a process under stress ends. Once the memory is to go (the file exists), it may.
enum Status { survived = 0, wrong_byte = 10, refused = 11 };
const char *const memory_may_go = "/tmp/the-memory-may-go";

/// Of all processes: how many mappings went through their operations.
std::atomic<unsigned long> *mappings;

[[noreturn]] void end(Status status, const std::string &what)
{
    if (status != survived && access(memory_may_go, F_OK) != 0) {
        dprintf(STDERR_FILENO, "%d: %s (%s)\n", getpid(), what.c_str(), strerror(errno));
        _exit(status);
    }
    _exit(survived);
}

/// One process: a mapping after the other, some operations on each.
class Stressor {
public:
    explicit Stressor(unsigned seed) : random_(seed)
    {
        if (pipe2(pipe_.data(), O_NONBLOCK) != 0)
            end(refused, "pipe");
    }

    void run_until(std::chrono::steady_clock::time_point stop)
    {
        for (; std::chrono::steady_clock::now() < stop; ++*mappings) {
            map();
            for (std::size_t left = below(6) + 1; left; --left)
                (this->*operations[below(operations.size())])();
            verify_some();
            munmap(at_, length_);
        }
    }

private:
    using Operation = void (Stressor::*)();
    static const std::vector<Operation> operations;

    std::size_t below(std::size_t limit)
    {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
    }
    bool toss() { return below(2) == 0; }
    std::size_t pages() const { return length_ / page; }
    std::size_t any_page() { return below(pages()) * page; }

    void map()
    {
        file_ = static_cast<unsigned>(below(stress::files));
        fd_.reset(open((root + "/" + stress::name_of(file_)).c_str(), O_RDONLY | (toss() ? O_DIRECT : 0)));
        if (!fd_)
            end(refused, "open");
        const auto all = (stress::size_of(file_) + page - 1) / page;
        first_ = below(all);
        // Whole files, too: only those have entries of 2 MiB.
        first_ = toss() ? 0 : first_;
        length_ = (first_ || toss() ? below(all - first_) + 1 : all) * page;
        first_ *= page;
        private_ = toss();
        protection_ = private_ && toss() ? PROT_READ | PROT_WRITE : PROT_READ;
        void *at = mmap(nullptr, length_, protection_, private_ ? MAP_PRIVATE : MAP_SHARED, fd_.get(),
                        static_cast<off_t>(first_));
        if (at == MAP_FAILED)
            end(refused, "mmap");
        at_ = static_cast<char *>(at);
        written_.assign(pages(), false);
    }

    /// True if the pages could be used: those that were made to fail cannot.
    bool used(const std::function<void()> &access)
    {
        if (bus_code_of(access) == 0)
            return true;
        if (file_ != stress::failing_file)
            end(refused, "SIGBUS");
        return false;
    }

    void verify(const char *bytes, std::size_t offset, std::size_t count, const char *how)
    {
        if (written_[offset / page])
            return;
        for (std::size_t i = 0; i < count; i += 61)
            if (bytes[i] != stress::byte_of(file_, first_ + offset + i))
                end(wrong_byte, std::string(how) + " of " + stress::name_of(file_) + " at " +
                                    std::to_string(first_ + offset + i));
    }

    void verify_some()
    {
        for (std::size_t left = std::min<std::size_t>(pages(), 24); left; --left) {
            const auto offset = any_page();
            std::array<char, page> copy;
            if (used([&] { std::memcpy(copy.data(), at_ + offset, page); }))
                verify(copy.data(), offset, page, "mapping");
        }
    }

    void touch_all()
    {
        used([this] {
            for (std::size_t offset = 0; offset < length_; offset += page)
                static_cast<void>(*static_cast<volatile char *>(at_ + offset));
        });
    }

    void write_pages()
    {
        if (!(protection_ & PROT_WRITE))
            return;
        for (int left = 4; left; --left) {
            const auto offset = any_page();
            written_[offset / page] = true;
            used([&] { at_[offset + below(page)] = 'w'; });
        }
    }

    void advise()
    {
        constexpr std::array advices = {MADV_NORMAL,
                                        MADV_RANDOM,
                                        MADV_SEQUENTIAL,
                                        MADV_WILLNEED,
                                        MADV_COLD,
                                        MADV_PAGEOUT,
                                        MADV_MERGEABLE,
                                        MADV_UNMERGEABLE,
                                        MADV_HUGEPAGE,
                                        MADV_NOHUGEPAGE,
                                        MADV_DONTFORK,
                                        MADV_DOFORK,
                                        MADV_DONTDUMP,
                                        MADV_POPULATE_READ,
                                        MADV_POPULATE_WRITE,
                                        MADV_DONTNEED,
                                        24 /* DONTNEED_LOCKED */,
                                        25 /* COLLAPSE */};
        const auto from = any_page();
        const auto length = (below((length_ - from) / page) + 1) * page;
        madvise(at_ + from, length, advices[below(advices.size())]);
    }

    void protect()
    {
        const auto from = any_page();
        const auto length = (below((length_ - from) / page) + 1) * page;
        mprotect(at_ + from, length, toss() ? PROT_NONE : PROT_READ | PROT_EXEC);
        if (mprotect(at_ + from, length, protection_) != 0)
            end(refused, "mprotect");
    }

    void move()
    {
        void *to = mmap(nullptr, length_ + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (to == MAP_FAILED)
            end(refused, "mmap of nothing");
        void *moved =
            mremap(at_, length_, length_, MREMAP_MAYMOVE | MREMAP_FIXED, static_cast<char *>(to) + page);
        const bool done = moved != MAP_FAILED;
        if (!done && errno != EFAULT) // advice on a part has made two mappings of it
            end(refused, "mremap");
        munmap(to, done ? page : page + length_);
        munmap(static_cast<char *>(to) + page + length_, huge - page);
        if (done)
            at_ = static_cast<char *>(moved);
    }

    void shorten()
    {
        const auto keep = any_page() + page;
        munmap(at_ + keep, length_ - keep);
        length_ = keep;
        written_.resize(pages());
    }

    void lock()
    {
        mlock(at_, length_);
        if (toss())
            munlock(at_, length_);
    }

    void fork_one()
    {
        const pid_t child = fork();
        if (child == 0) {
            if (is_mapped()) // not where a part was advised not to be
                verify_some();
            _exit(survived);
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status))
            _exit(WEXITSTATUS(status));
    }

    bool is_mapped()
    {
        std::vector<unsigned char> resident(pages());
        return mincore(at_, length_, resident.data()) == 0;
    }

    void pin()
    {
        const auto offset = any_page();
        std::array<char, page> got;
        const iovec from{at_ + offset, page};
        if (vmsplice(pipe_[1], &from, 1, SPLICE_F_NONBLOCK) == static_cast<ssize_t>(page)) {
            // It may stay there while the mapping goes.
            if (toss())
                shorten();
            if (read(pipe_[0], got.data(), page) != static_cast<ssize_t>(page))
                end(refused, "pipe");
            if (offset < length_)
                verify(got.data(), offset, page, "pipe");
        }
        const iovec to{got.data(), page};
        if (offset < length_ && process_vm_readv(getpid(), &to, 1, &from, 1, 0) == static_cast<ssize_t>(page))
            verify(got.data(), offset, page, "process_vm_readv");
    }

    void look_from_outside()
    {
        static constexpr std::array paths = {"/proc/self/smaps", "/proc/self/numa_maps",
                                             "/proc/self/smaps_rollup", "/proc/self/pagemap"};
        const UniqueFd file(open(paths[below(paths.size())], O_RDONLY));
        std::array<char, 2 * page> text;
        // pagemap: of this mapping only.
        const auto entry = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(at_) / page * 8);
        for (int left = 8; left && pread(file.get(), text.data(), text.size(), entry) > 0; --left)
            ;
        while (read(file.get(), text.data(), text.size()) > 0 && below(50))
            ;
        const UniqueFd marks(open("/proc/self/clear_refs", O_WRONLY));
        if (write(marks.get(), toss() ? "1" : "4", 1) != 1)
            return;
    }

    void place()
    {
        std::array<void *, 16> where;
        std::array<int, 16> nodes{}, status{};
        for (auto &at : where)
            at = at_ + any_page();
        syscall(SYS_move_pages, 0, where.size(), where.data(), toss() ? nodes.data() : nullptr, status.data(),
                2);
        const unsigned long mask = 1;
        syscall(SYS_mbind, at_, length_, 2 /* BIND */, &mask, 8UL, 2U /* MOVE */);
    }

    /// Into anonymous memory, and into a mapping whose pages the read itself has to bring.
    void read_file()
    {
        const auto offset = any_page();
        const auto size = stress::size_of(file_);
        std::array<char, page> got;
        const auto there = std::min<std::size_t>(page, size - (first_ + offset));
        const ssize_t count = pread(fd_.get(), got.data(), page, static_cast<off_t>(first_ + offset));
        if (count == static_cast<ssize_t>(there)) {
            const bool was = written_[offset / page];
            written_[offset / page] = false;
            verify(got.data(), offset, there, "read");
            written_[offset / page] = was;
        } else if (file_ != stress::failing_file) {
            end(refused, "pread: " + std::to_string(count));
        }
        if (protection_ & PROT_WRITE) {
            const auto to = any_page();
            if (pread(fd_.get(), at_ + to, page, static_cast<off_t>(first_ + offset)) > 0)
                written_[to / page] = true;
        }
    }

    void splice_file()
    {
        off_t offset = static_cast<off_t>(first_ + any_page());
        std::array<char, page> got;
        if (splice(fd_.get(), &offset, pipe_[1], nullptr, page, SPLICE_F_NONBLOCK) > 0 &&
            read(pipe_[0], got.data(), page) <= 0)
            end(refused, "read of what was spliced");
        const UniqueFd null(open("/dev/null", O_WRONLY));
        offset = 0;
        sendfile(null.get(), fd_.get(), &offset, below(1 << 18));
    }

    void names()
    {
        DIR *dir = opendir((root + "/stress").c_str());
        if (!dir)
            end(refused, "opendir");
        const UniqueFd events(inotify_init1(IN_NONBLOCK));
        while (const dirent *entry = readdir(dir)) {
            struct stat info;
            if (below(4) == 0)
                fstatat(dirfd(dir), entry->d_name, &info, 0);
            if (below(16) == 0)
                inotify_add_watch(events.get(), (root + "/stress/" + entry->d_name).c_str(), IN_OPEN);
        }
        closedir(dir);
    }

    std::mt19937 random_;
    std::array<int, 2> pipe_{};
    UniqueFd fd_;
    unsigned file_ = 0;
    std::size_t first_ = 0, length_ = 0;
    bool private_ = false;
    int protection_ = 0;
    char *at_ = nullptr;
    std::vector<bool> written_;
};

const std::vector<Stressor::Operation> Stressor::operations = {
    &Stressor::touch_all,   &Stressor::write_pages, &Stressor::advise,    &Stressor::protect,
    &Stressor::move,        &Stressor::shorten,     &Stressor::lock,      &Stressor::fork_one,
    &Stressor::pin,         &Stressor::place,       &Stressor::read_file, &Stressor::look_from_outside,
    &Stressor::splice_file, &Stressor::names};

std::chrono::seconds seconds_of(const char *variable)
{
    const char *text = std::getenv(variable);
    return std::chrono::seconds(text ? std::atoi(text) : 0);
}

/// The next page of the file that may lose them is made to fail; false when all have.
bool fail_a_page(std::size_t &next)
{
    if (next >= stress::size_of(stress::failing_file))
        return false;
    const UniqueFd file(open((root + "/" + stress::name_of(stress::failing_file)).c_str(), O_RDONLY));
    void *at = mmap(nullptr, page, PROT_READ, MAP_SHARED, file.get(), static_cast<off_t>(next));
    next += 17 * page;
    if (at == MAP_FAILED || bus_code(static_cast<char *>(at)) != 0)
        return true;
    const bool failed = madvise(at, page, MADV_HWPOISON) == 0;
    munmap(at, page);
    return failed;
}

} // namespace

// SECONDS long, by PROCESSES; with FAIL, a page fails every ten seconds; with TAKE_AWAY, the memory goes.
TEST(Region, IsUnderStress)
{
    const auto stop = std::chrono::steady_clock::now() + seconds_of("SECONDS");
    const auto processes = seconds_of("PROCESSES").count();
    void *counter = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(counter, MAP_FAILED);
    mappings = new (counter) std::atomic<unsigned long>(0);
    std::vector<pid_t> children;
    for (unsigned seed = 0; seed < processes; ++seed) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            // Those whose memory goes are stopped by that.
            Stressor(seed).run_until(stop + std::chrono::hours(std::getenv("TAKE_AWAY") ? 1 : 0));
            end(survived, "");
        }
        children.push_back(child);
    }
    std::size_t next = 0;
    unsigned failed = 0;
    for (int tenth = 0; std::chrono::steady_clock::now() < stop; ++tenth) {
        usleep(100000);
        if (tenth % 20 == 0)
            write_to("/proc/sys/vm/drop_caches", std::to_string(1 + tenth / 20 % 3));
        if (tenth % 100 == 0 && std::getenv("FAIL"))
            failed += fail_a_page(next);
    }
    dprintf(STDERR_FILENO, "%lu mappings used, %u pages failed\n", mappings->load(), failed);
    EXPECT_GT(mappings->load(), children.size());
    if (std::getenv("FAIL")) {
        EXPECT_GT(failed, 0U);
    }
    if (std::getenv("TAKE_AWAY")) {
        std::ofstream flag(memory_may_go);
        flag.close();
        take_away();
    }
    for (const pid_t child : children) {
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
}
