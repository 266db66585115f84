// SPDX-License-Identifier: Apache-2.0
// All data of a tree read, or mapped and touched by a process that lives on: what every page frame of the
// machine is then, and of the page cache what the files' part is.
#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "io.hpp"
#include "mounts.hpp"
#include "operation_parts.hpp"
#include "physical.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

constexpr long cachestat_number = 451; // Linux 6.5; the C library's headers may be older

struct CacheRange {
    std::uint64_t off = 0;
    std::uint64_t len = 0; // 0: to the end
};

struct CacheStat {
    std::uint64_t cache = 0; // pages; then dirty, in writeback, evicted, recently evicted
    std::array<std::uint64_t, 4> rest{};
};

/// A file whose mapping has entries of DAX, and no page of the cache. cachestat() takes such entries for
/// shadows of evicted pages and follows what they say: Linux 6.12 dies of it.
bool is_dax(int fd)
{
    struct statx attributes {};
    if (::statx(fd, "", AT_EMPTY_PATH, 0, &attributes) < 0)
        throw_errno("cannot read a file's attributes");
    return (attributes.stx_attributes & STATX_ATTR_DAX) != 0;
}

/// Pages of the page cache that are this file's, directory's or block device's.
std::uint64_t cached_pages(int fd)
{
    if (is_dax(fd))
        return 0;
    CacheRange range;
    CacheStat stat;
    if (::syscall(cachestat_number, fd, &range, &stat, 0) == 0)
        return stat.cache;
    if (errno != ENOSYS)
        throw_errno("cannot ask what of a file is in the page cache");
    struct stat st {};
    if (::fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0; // mincore() knows files alone
    const auto size = static_cast<std::size_t>(st.st_size);
    void *const map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        throw_errno("cannot map a file");
    std::vector<unsigned char> pages((size + page_size - 1) / page_size);
    const int failed = ::mincore(map, size, pages.data());
    ::munmap(map, size);
    if (failed)
        throw_errno("cannot ask what of a file is in the page cache");
    return static_cast<std::uint64_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

struct Attribution {
    std::uint64_t tree = 0;   // bytes of the page cache that are files and directories of the mount
    std::uint64_t device = 0; // of the block device that it lies on
};

Attribution attribute(const std::string &target)
{
    Attribution pages;
    std::set<ino_t> seen;
    auto entries = list_tree(target);
    entries.push_back({.path = target});
    for (const SelectedFile &entry : entries) {
        struct stat st {};
        if (::lstat(entry.path.c_str(), &st) < 0)
            throw_errno("cannot stat " + entry.path);
        if ((S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && seen.insert(st.st_ino).second)
            pages.tree += cached_pages(open_file(entry.path, O_RDONLY).get()) * page_size;
    }
    const std::string source = mounted_at(target).source;
    struct stat st {};
    if (::stat(source.c_str(), &st) == 0 && S_ISBLK(st.st_mode))
        pages.device = cached_pages(open_file(source, O_RDONLY).get()) * page_size;
    return pages;
}

/// Of each inode with data one name.
std::vector<SelectedFile> files_with_data(const std::string &target)
{
    auto files = distinct_files(list_tree(target));
    std::erase_if(files, [](const SelectedFile &file) { return file.size == 0; });
    return files;
}

/// A process that has mapped all of the files and touched every page, until it is destroyed.
class MappingProcess {
public:
    explicit MappingProcess(const std::vector<SelectedFile> &files)
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) < 0)
            throw_errno("cannot make a pipe");
        const UniqueFd read_end(ends[0]);
        UniqueFd write_end(ends[1]);
        pid_ = ::fork();
        if (pid_ < 0)
            throw_errno("cannot fork");
        if (pid_ == 0)
            live(files, write_end.get());
        write_end.reset();
        char done = 0;
        if (::read(read_end.get(), &done, 1) != 1) {
            end();
            throw std::runtime_error(
                fmt::format("expected a process that maps all of {} files, it ended", files.size()));
        }
    }
    ~MappingProcess() { end(); }
    MappingProcess(const MappingProcess &) = delete;
    MappingProcess &operator=(const MappingProcess &) = delete;

    pid_t pid() const { return pid_; }

private:
    [[noreturn]] static void live(const std::vector<SelectedFile> &files, int done)
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (const SelectedFile &file : files) {
            const int fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
            void *const map = ::mmap(nullptr, file.size, PROT_READ, MAP_SHARED, fd, 0);
            if (fd < 0 || map == MAP_FAILED)
                ::_exit(1);
            ::close(fd);
            touch_pages(static_cast<const volatile char *>(map), (file.size + page_size - 1) / page_size);
        }
        if (::write(done, "d", 1) == 1)
            for (;;)
                ::pause();
        ::_exit(1);
    }

    void end() const
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    pid_t pid_ = -1;
};

void add_bytes(json &results, const std::string &metric, double bytes)
{
    results.push_back(
        {{"metric", metric}, {"unit", metric.ends_with("_ratio") ? "ratio" : "bytes"}, {"samples", {bytes}}});
}

void add_process(json &results, pid_t pid, const std::string &target)
{
    const MappedPages pages = count_mapped(pid, pmem_ranges(json::object()), target);
    add_bytes(results, "mapped_bytes", double(pages.mapped));
    add_bytes(results, "present_bytes", double(pages.present));
    add_bytes(results, "rss_bytes", double(pages.rss));
    add_bytes(results, "rss_missing_bytes", double(pages.present) - double(pages.rss));
    add_bytes(results, "process_pmem_bytes", double(pages.frames.pmem));
    add_bytes(results, "process_page_cache_bytes", double(pages.frames.page_cache));
    add_bytes(results, "process_other_bytes",
              double(pages.frames.anonymous + pages.frames.zero + pages.frames.other));
}

json count_now(const RunRequest &request, const MappingProcess *process)
{
    const PhysicalMemory memory = count_physical_memory();
    json results = json::array();
    for (const auto &[metric, bytes] : memory.bytes)
        add_bytes(results, metric, bytes);
    if (process != nullptr)
        add_process(results, process->pid(), request.target);
    // Last, since it looks at every name.
    const Attribution cache = attribute(request.target);
    add_bytes(results, "page_cache_tree_bytes", double(cache.tree));
    add_bytes(results, "page_cache_device_bytes", double(cache.device));
    add_bytes(results, "page_cache_elsewhere_bytes",
              memory.bytes.at("frames_page_cache_bytes") - double(cache.tree) - double(cache.device));
    return {{"results", results}, {"raw", {{"slabs", memory.slabs}, {"checks", memory.checks}}}};
}

} // namespace

json run_frames_engine(const RunRequest &request)
{
    const std::string after = request.workload.value("after", "read");
    request.progress(request.workload.value("id", "frames"));
    const auto files = files_with_data(request.target);
    if (after == "map") {
        const MappingProcess process(files);
        return count_now(request, &process);
    }
    for (const SelectedFile &file : files)
        read_whole_file(file.path);
    return count_now(request, nullptr);
}

} // namespace daxbench
