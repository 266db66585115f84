// SPDX-License-Identifier: Apache-2.0
// Jobs for images that lie: one access and its errno, and everything at once for a while.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "probe.hpp"
#include "probe_jobs.hpp"

namespace probe {

namespace {

sigjmp_buf after_fault;

void on_fault(int)
{
    siglongjmp(after_fault, 1);
}

int list(const std::string &path)
{
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(opendir(path.c_str()), closedir);
    if (!dir)
        return errno;
    for (errno = 0; readdir(dir.get());) {
    }
    return errno;
}

int read_all(const std::string &path)
{
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0)
        return errno;
    std::vector<char> buffer(1 << 16);
    ssize_t got = 0;
    // A file may say that it is larger than anything.
    for (int i = 0; i < 256; ++i)
        if ((got = read(fd, buffer.data(), buffer.size())) <= 0)
            break;
    const int error = got < 0 ? errno : 0;
    close(fd);
    return error;
}

/// Touches pages of a mapping; SIGBUS is EFAULT.
int touch(const std::string &path)
{
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0)
        return errno;
    struct stat st = {};
    fstat(fd, &st);
    const auto size = static_cast<std::size_t>(std::clamp<off_t>(st.st_size, 1, 5 << 20));
    void *map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return errno;
    signal(SIGBUS, on_fault);
    volatile int error = 0;
    if (sigsetjmp(after_fault, 1) == 0) {
        for (std::size_t at = 0; at < size; at += 4096) {
            volatile char *page = static_cast<char *>(map) + at;
            if (at % 7 == 0)
                *page = 'x';
            else
                (void)*page;
        }
    } else {
        error = EFAULT;
    }
    munmap(map, size);
    return error;
}

int one_access(const std::string &what, const std::string &path)
{
    char buffer[65536];
    struct stat st;
    const auto result = [](long value) { return value < 0 ? errno : 0; };
    if (what == "stat")
        return result(lstat(path.c_str(), &st));
    if (what == "list")
        return list(path);
    if (what == "read")
        return read_all(path);
    if (what == "touch")
        return touch(path);
    if (what == "readlink")
        return result(readlink(path.c_str(), buffer, sizeof buffer));
    if (what == "list-attributes")
        return result(llistxattr(path.c_str(), buffer, sizeof buffer));
    if (what == "get-attribute")
        return result(lgetxattr(path.c_str(), "user.second", buffer, sizeof buffer));
    if (what == "acl")
        return result(lgetxattr(path.c_str(), "system.posix_acl_access", buffer, sizeof buffer));
    return ENOSYS;
}

/// Opens inode NUMBER by a handle made up for it.
int open_handle(const std::string &number)
{
    struct {
        std::uint32_t bytes = 32;
        std::int32_t type = 0;
        std::uint32_t word[8] = {};
    } handle;
    auto *raw = reinterpret_cast<file_handle *>(&handle);
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, (root + "/good").c_str(), raw, &mount_id, 0) < 0)
        return errno;
    handle.word[0] = static_cast<std::uint32_t>(std::stoul(number));
    const int mount = open(root.c_str(), O_RDONLY | O_DIRECTORY);
    const int fd = open_by_handle_at(mount, raw, O_RDONLY);
    const int error = fd < 0 ? errno : 0;
    close(fd);
    close(mount);
    return error;
}

struct Count {
    unsigned long works = 0;
    unsigned long fails = 0;
};

void churn_walk(const std::string &path, int depth, Count &count)
{
    DIR *dir = depth < 8 ? opendir(path.c_str()) : nullptr;
    if (!dir)
        return;
    for (int i = 0; i < 300; ++i) {
        const dirent *entry = readdir(dir);
        if (!entry)
            break;
        if (entry->d_name == std::string(".") || entry->d_name == std::string(".."))
            continue;
        const auto child = path + "/" + entry->d_name;
        for (const char *what :
             {"stat", "readlink", "list-attributes", "get-attribute", "acl", "read", "touch"}) {
            struct stat st;
            // Nothing but files and links: a FIFO would wait, a device is another's.
            if (lstat(child.c_str(), &st) < 0 ||
                (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode)))
                break;
            if ((what == std::string("read") || what == std::string("touch")) && !S_ISREG(st.st_mode))
                continue;
            ++(one_access(what, child) ? count.fails : count.works);
        }
        churn_walk(child, depth + 1, count);
    }
    closedir(dir);
}

} // namespace

int access_job(const std::vector<std::string> &words)
{
    std::string what = words.at(0);
    std::size_t path = 1;
    if (what == "stat-both") { // the first one must work
        what = "stat";
        if (one_access(what, root + "/" + words.at(path++)))
            return 1;
    }
    const int error =
        what == "open-handle" ? open_handle(words.at(path)) : one_access(what, root + "/" + words.at(path));
    std::string good;
    try {
        good = daxbench::read_file(root + "/good");
    } catch (const std::exception &failure) {
        good = failure.what();
    }
    std::printf("%d %s", error, good.c_str());
    return 0;
}

int churn_job(int seconds)
{
    const time_t end = time(nullptr) + seconds;
    Count all;
    for (int worker = 0; worker < 4; ++worker) {
        if (fork())
            continue;
        Count count;
        while (time(nullptr) < end) {
            churn_walk(root, 0, count);
            // Inodes and names are read anew.
            if (worker == 0)
                daxbench::write_file("/proc/sys/vm/drop_caches", "2");
        }
        std::printf("worker %d: %lu worked, %lu failed\n", worker, count.works, count.fails);
        std::fflush(stdout);
        _exit(count.works && count.fails ? 0 : 3);
    }
    int status = 0, worst = 0;
    while (wait(&status) > 0)
        worst = status ? status : worst;
    return worst ? 1 : 0;
}

} // namespace probe
