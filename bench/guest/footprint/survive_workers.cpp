// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io.hpp"
#include "process.hpp"
#include "survive.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr int max_depth = 16; // directories may lead anywhere, themselves included

class Looker {
public:
    Looker(const SurviveJob &job, SurviveCounts &counts) : job_(job), counts_(counts) {}

    bool goes_on()
    {
        const std::uint64_t now = now_ns();
        counts_.heartbeat = now;
        return now < job_.deadline;
    }
    /// The result of a system call; false where it failed.
    bool check(long result)
    {
        ++counts_.accesses;
        if (result >= 0)
            return true;
        ++counts_.failures;
        ++counts_.errors[std::min<std::size_t>(static_cast<std::size_t>(errno), counts_.errors.size() - 1)];
        return false;
    }
    void look_at(std::string_view bytes)
    {
        counts_.foreign_memory += bytes_of_canary(bytes, memory_canary);
        counts_.foreign_region += bytes_of_canary(bytes, region_canary);
    }
    const SurviveJob &job() const { return job_; }
    SurviveCounts &counts() { return counts_; }

private:
    const SurviveJob &job_;
    SurviveCounts &counts_;
};

void look_at_name(Looker &looker, const std::string &path, const struct stat &st)
{
    char buffer[65536];
    if (S_ISLNK(st.st_mode))
        if (const ssize_t got = ::readlink(path.c_str(), buffer, sizeof buffer); looker.check(got))
            looker.look_at({buffer, static_cast<std::size_t>(got)});
    if (const ssize_t got = ::llistxattr(path.c_str(), buffer, sizeof buffer); looker.check(got))
        looker.look_at({buffer, static_cast<std::size_t>(got)});
}

void walk(Looker &looker, const std::string &path, int depth)
{
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(::opendir(path.c_str()), ::closedir);
    if (!looker.check(dir ? 0 : -1) || depth > max_depth)
        return;
    for (;;) {
        errno = 0;
        const dirent *entry = ::readdir(dir.get());
        if (!looker.check(entry || errno == 0 ? 0 : -1) || entry == nullptr || !looker.goes_on())
            return;
        const std::string_view name = entry->d_name;
        looker.look_at(name);
        if (name == "." || name == "..")
            continue;
        const std::string child = path + "/" + std::string(name);
        struct stat st {};
        if (!looker.check(::lstat(child.c_str(), &st)))
            continue;
        look_at_name(looker, child, st);
        if (S_ISDIR(st.st_mode))
            walk(looker, child, depth + 1);
    }
}

/// A regular file, or none: what lies may be a device or a FIFO by now.
UniqueFd open_regular(Looker &looker, const std::string &path, struct stat &st)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    if (!looker.check(fd.get()) || !looker.check(::fstat(fd.get(), &st)) || !S_ISREG(st.st_mode))
        return {};
    return fd;
}

void read_file_now(Looker &looker, const PristineFile &file, std::vector<char> &buffer)
{
    struct stat st {};
    const UniqueFd fd = open_regular(looker, file.path, st);
    if (!fd)
        return;
    std::uint64_t hash = hash_start;
    std::size_t total = 0;
    ssize_t got = 0;
    while (total < read_limit) {
        got = ::read(fd.get(), buffer.data(), std::min(buffer.size(), read_limit - total));
        if (!looker.check(got) || got == 0)
            break;
        looker.look_at({buffer.data(), static_cast<std::size_t>(got)});
        hash = hash_bytes(hash, buffer.data(), static_cast<std::size_t>(got));
        total += static_cast<std::size_t>(got);
    }
    if (got >= 0 && (hash != file.hash || total != std::min<std::size_t>(file.size, read_limit)))
        ++looker.counts().changed_reads;
}

sigjmp_buf after_fault;

void on_fault(int)
{
    siglongjmp(after_fault, 1);
}

void touch_page(Looker &looker, char *page, bool write)
{
    ++looker.counts().accesses;
    if (sigsetjmp(after_fault, 1) != 0) {
        ++looker.counts().mapping_faults;
        return;
    }
    if (write)
        *const_cast<volatile char *>(page) = 'x'; // a copy of the page, private
    else
        looker.look_at({page, 4096});
}

void touch_mapping(Looker &looker, char *map, std::size_t size)
{
    for (std::size_t at = 0; at < size; at += 4096)
        touch_page(looker, map + at, at / 4096 % 7 == 0);
}

/// As nobody, and with little of anything: code that was overwritten does whatever it now says.
[[noreturn]] void become_program(const SurviveJob &job, char *const *argv, char *const *env)
{
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    const auto limit = [](__rlimit_resource what, rlim_t value) {
        const rlimit both{value, value};
        ::setrlimit(what, &both);
    };
    limit(RLIMIT_CPU, 2);
    limit(RLIMIT_AS, rlim_t{512} << 20);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 64);
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd)
        ::dup2(null, fd);
    constexpr uid_t nobody = 65534;
    if (::chroot(job.target.c_str()) == 0 && ::chdir("/") == 0 && ::setgroups(0, nullptr) == 0 &&
        ::setgid(nobody) == 0 && ::setuid(nobody) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        ::execve(argv[0], argv, env);
    ::_exit(126);
}

/// Its wait status; -1 where it cannot be ended.
int wait_for(pid_t pid, Looker &looker)
{
    const std::uint64_t start = now_ns();
    bool killed = false;
    for (;;) {
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) != 0)
            return status;
        const std::uint64_t waited = now_ns() - start;
        looker.counts().heartbeat = now_ns();
        if (waited > 10 * second)
            return -1;
        if (waited > 5 * second && !killed) {
            ::kill(-pid, SIGKILL);
            ::kill(pid, SIGKILL);
            killed = true;
        }
        ::usleep(2000);
    }
}

} // namespace

std::uint64_t hash_bytes(std::uint64_t hash, const char *data, std::size_t size)
{
    constexpr std::uint64_t prime = 0x100000001b3;
    std::size_t at = 0;
    for (std::uint64_t word = 0; at + sizeof word <= size; at += sizeof word) {
        std::memcpy(&word, data + at, sizeof word);
        hash = (hash ^ word) * prime;
    }
    for (; at < size; ++at)
        hash = (hash ^ static_cast<unsigned char>(data[at])) * prime;
    return hash;
}

void walk_worker(const SurviveJob &job, SurviveCounts &counts)
{
    Looker looker(job, counts);
    while (looker.goes_on()) {
        walk(looker, job.target, 0);
        ++counts.rounds;
        // Inodes, names and cached pages are read anew. A write that fails does no harm.
        const UniqueFd fd(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
        (void)!::write(fd.get(), "3", 1);
    }
}

void read_worker(const SurviveJob &job, SurviveCounts &counts)
{
    Looker looker(job, counts);
    std::mt19937_64 random(job.seed);
    std::vector<char> buffer(1 << 16);
    while (looker.goes_on()) {
        read_file_now(looker, job.files[random() % job.files.size()], buffer);
        ++counts.rounds;
    }
}

void map_worker(const SurviveJob &job, SurviveCounts &counts)
{
    Looker looker(job, counts);
    std::mt19937_64 random(job.seed + 1);
    ::signal(SIGBUS, on_fault);
    ::signal(SIGSEGV, on_fault);
    while (looker.goes_on()) {
        const PristineFile &file = job.files[random() % job.files.size()];
        struct stat st {};
        const UniqueFd fd = open_regular(looker, file.path, st);
        const auto size = static_cast<std::size_t>(std::clamp<off_t>(st.st_size, 0, off_t{read_limit}));
        ++counts.rounds;
        if (!fd || size == 0)
            continue;
        void *const map = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0);
        if (!looker.check(map == MAP_FAILED ? -1 : 0))
            continue;
        touch_mapping(looker, static_cast<char *>(map), size);
        ::munmap(map, size);
    }
}

void program_worker(const SurviveJob &job, SurviveCounts &counts)
{
    Looker looker(job, counts);
    const auto argv = c_array(job.argv);
    const auto environment = default_env();
    const auto env = c_array(environment);
    while (looker.goes_on()) {
        const pid_t pid = ::fork();
        if (pid < 0)
            return;
        if (pid == 0)
            become_program(job, argv.data(), env.data());
        ++counts.programs;
        const int status = wait_for(pid, looker);
        counts.hangs += status == -1 ? 1 : 0;
        counts.program_failures += status != 0 ? 1 : 0;
        ++counts.rounds;
    }
}

} // namespace daxbench
