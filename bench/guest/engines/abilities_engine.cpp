// SPDX-License-Identifier: Apache-2.0
// What a mapping of a file can be used for. Each is tried in a child of its own, which may die of it.
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "frames.hpp"
#include "io.hpp"
#include "mapped_file.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::size_t huge_page = std::size_t{2} << 20;

struct Target {
    SelectedFile file; // its mapping is what is tried
    std::string root;  // of the mount
    std::vector<std::string> argv;
};

// Each returns 0, or the errno of what was refused.
using Try = int (*)(const Target &);

int failed(bool failure)
{
    return failure ? errno : 0;
}

// A page of it goes into a pipe by reference.
int get_user_pages(const Target &target)
{
    const MappedFile map(target.file.path, target.file.size);
    int pipe[2];
    if (::pipe(pipe) < 0)
        throw_errno("cannot make a pipe");
    iovec part = {map.start(), page_size};
    return failed(::vmsplice(pipe[1], &part, 1, 0) != static_cast<ssize_t>(page_size));
}

// Another process reads it, as a debugger does.
int read_from_outside(const Target &target)
{
    const MappedFile map(target.file.path, target.file.size);
    const pid_t child = ::fork();
    if (child == 0) {
        std::array<char, page_size> bytes;
        iovec local = {bytes.data(), bytes.size()};
        iovec remote = {map.start(), page_size};
        const auto got = ::process_vm_readv(::getppid(), &local, 1, &remote, 1, 0);
        ::_exit(failed(got != static_cast<ssize_t>(page_size)));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
}

// All of it touched takes less than half of the page tables that pages of 4 KiB would.
int map_by_2_mib(const Target &target)
{
    const std::uint64_t before = own_page_table_bytes();
    const MappedFile map(target.file.path, target.file.size);
    map.touch();
    const std::uint64_t small_pages = target.file.size / huge_page * page_size;
    return (own_page_table_bytes() - before) * 2 < small_pages ? 0 : EOPNOTSUPP;
}

int execute(const Target &target)
{
    const pid_t child = ::vfork();
    if (child == 0) {
        std::vector<char *> argv;
        for (const auto &word : target.argv)
            argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        char *const environment[] = {nullptr};
        if (::chroot(target.root.c_str()) == 0 && ::chdir("/") == 0)
            ::execve(argv[0], argv.data(), environment);
        ::_exit(failed(true));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
}

int give_back(const Target &target)
{
    const MappedFile map(target.file.path, target.file.size);
    map.touch();
    return failed(::madvise(map.start(), map.size(), MADV_DONTNEED) < 0);
}

int map_ahead_by_madvise(const Target &target)
{
    constexpr int populate_read = 22; // MADV_POPULATE_READ, Linux 5.14
    const MappedFile map(target.file.path, target.file.size);
    return failed(::madvise(map.start(), map.size(), populate_read) < 0);
}

int grow_by_mremap(const Target &target)
{
    const std::size_t half = target.file.size / 2 / page_size * page_size;
    const UniqueFd file = open_file(target.file.path, O_RDONLY);
    void *const start = ::mmap(nullptr, half, PROT_READ, MAP_SHARED, file.get(), 0);
    if (start == MAP_FAILED)
        throw_errno("cannot map " + target.file.path);
    (void)*static_cast<const volatile char *>(start);
    void *const grown = ::mremap(start, half, target.file.size, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED)
        return errno;
    (void)static_cast<const volatile char *>(grown)[target.file.size - 1];
    return 0;
}

int futex_in_it(const Target &target)
{
    const MappedFile map(target.file.path, target.file.size);
    return failed(::syscall(SYS_futex, map.start(), FUTEX_WAKE, 1, nullptr, nullptr, 0) < 0);
}

struct Ability {
    const char *metric;
    Try attempt;
};

constexpr Ability abilities[] = {
    {"can_get_user_pages", get_user_pages}, {"can_read_from_outside", read_from_outside},
    {"can_map_by_2_mib", map_by_2_mib},     {"can_execute", execute},
    {"can_give_back", give_back},           {"can_populate", map_ahead_by_madvise},
    {"can_grow_by_mremap", grow_by_mremap}, {"can_hold_a_futex", futex_in_it},
};

// "yes", or what stood against it.
std::string outcome(const Ability &ability, const Target &target)
{
    const pid_t child = ::fork();
    if (child < 0)
        throw_errno("cannot fork");
    if (child == 0) {
        try {
            ::_exit(ability.attempt(target));
        } catch (const std::exception &) {
            ::_exit(EIO);
        }
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child)
        throw_errno("cannot wait for a child");
    if (WIFSIGNALED(status))
        return ::strsignal(WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? "yes" : std::strerror(WEXITSTATUS(status));
}

} // namespace

json run_abilities_engine(const RunRequest &request)
{
    const json &workload = request.workload;
    const Target target{select_files(request.target, workload)[0], request.target,
                        workload.at("argv").get<std::vector<std::string>>()};
    if (target.file.size < 2 * huge_page)
        throw std::runtime_error(fmt::format("expected a file of 4 MiB or more to map, {} has {} bytes",
                                             target.file.path, target.file.size));
    json results = json::array();
    json outcomes = json::object();
    for (const Ability &ability : abilities) {
        const std::string how = outcome(ability, target);
        outcomes[ability.metric] = how;
        results.push_back(
            {{"metric", ability.metric}, {"unit", "flag"}, {"samples", {how == "yes" ? 1 : 0}}});
    }
    return {{"results", results}, {"raw", {{"file", target.file.path}, {"outcomes", outcomes}}}};
}

} // namespace daxbench
