// SPDX-License-Identifier: Apache-2.0
// Walks, reads, mappings and programs for a while, on an image that somebody overwrites meanwhile. Two
// phases, each a request of its own: "prepare" looks at the files as they are, "run" is what the host calls
// when the writing begins. Each kind of access is a process, which may be killed by what it finds and is
// started again.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "io.hpp"
#include "operation_parts.hpp"
#include "selection.hpp"
#include "survive.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t patience = 20 * second; // without a heartbeat: it hangs

using Work = void (*)(const SurviveJob &, SurviveCounts &);

struct Kind {
    const char *name;
    Work work;
};

constexpr Kind kinds[] = {
    {"walk", walk_worker}, {"read", read_worker}, {"map", map_worker}, {"program", program_worker}};

/// A part of the guest's free memory, full of the canary: what leaks from memory is likely to be of it.
class MemoryCanary {
public:
    MemoryCanary()
    {
        const auto free = memory_by_kind().at("mem_free").get<std::uint64_t>();
        size_ = free * 2 / 5 / page_size * page_size;
        map_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map_ == MAP_FAILED)
            throw_errno("cannot get memory for the canary");
        ::madvise(map_, size_, MADV_DONTFORK); // the workers need no copy of its page tables
        const std::string page = canary_page(memory_canary);
        for (std::size_t at = 0; at < size_; at += page_size)
            std::memcpy(static_cast<char *>(map_) + at, page.data(), page_size);
    }
    ~MemoryCanary() { ::munmap(map_, size_); }
    MemoryCanary(const MemoryCanary &) = delete;
    MemoryCanary &operator=(const MemoryCanary &) = delete;
    std::size_t size() const { return size_; }

private:
    void *map_ = nullptr;
    std::size_t size_ = 0;
};

std::vector<PristineFile> look_at_files(const std::string &target)
{
    std::vector<PristineFile> files;
    std::vector<char> buffer(1 << 16);
    for (const SelectedFile &entry : list_tree(target)) {
        if (!entry.regular || entry.size == 0)
            continue;
        const UniqueFd fd = open_file(entry.path, O_RDONLY);
        PristineFile file{entry.path, entry.size, hash_start};
        for (std::size_t total = 0; total < read_limit;) {
            const ssize_t got = ::read(fd.get(), buffer.data(), std::min(buffer.size(), read_limit - total));
            if (got < 0)
                throw_errno("cannot read " + entry.path);
            if (got == 0)
                break;
            const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
            if (bytes_of_canary(bytes, memory_canary) + bytes_of_canary(bytes, region_canary) > 0)
                throw std::runtime_error("expected files without the canary's bytes, " + entry.path +
                                         " has them");
            file.hash = hash_bytes(file.hash, bytes.data(), bytes.size());
            total += bytes.size();
        }
        files.push_back(file);
    }
    if (files.empty())
        throw std::runtime_error("expected files with data in the tree, it has none");
    return files;
}

/// A worker's process, and what it has counted.
class Worker {
public:
    Worker(const Kind &kind, const SurviveJob &job) : kind_(kind), job_(job)
    {
        map_ =
            ::mmap(nullptr, sizeof(SurviveCounts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (map_ == MAP_FAILED)
            throw_errno("cannot get shared memory");
        start();
    }
    ~Worker() { ::munmap(map_, sizeof(SurviveCounts)); }
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    SurviveCounts &counts() const { return *static_cast<SurviveCounts *>(map_); }
    const char *name() const { return kind_.name; }
    unsigned deaths() const { return deaths_; }

    /// False once it has ended for good: at its deadline, or given up.
    bool watch()
    {
        if (pid_ < 0)
            return false;
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) != 0) {
            pid_ = -1;
            if (status == 0 || now_ns() >= job_.deadline)
                return false;
            ++deaths_; // by what it met; the next one goes on
            start();
            return true;
        }
        if (now_ns() - counts().heartbeat.load() > patience) {
            ++counts().hangs;
            ::kill(pid_, SIGKILL); // where even that does not end it, it stays
            pid_ = -1;
            return false;
        }
        return true;
    }

private:
    void start()
    {
        counts().heartbeat = now_ns();
        pid_ = ::fork();
        if (pid_ < 0)
            throw_errno("cannot fork");
        if (pid_ > 0)
            return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            kind_.work(job_, counts());
        } catch (...) {
            ::_exit(3);
        }
        ::_exit(0);
    }

    const Kind &kind_;
    const SurviveJob &job_;
    void *map_ = nullptr;
    pid_t pid_ = -1;
    unsigned deaths_ = 0;
};

/// What watches this kernel, by the functions that it has.
json checkers()
{
    const std::string symbols = read_file("/proc/kallsyms");
    const std::pair<const char *, const char *> all[] = {{"KASAN", " kasan_report\n"},
                                                         {"lockdep", " lockdep_init_map_type\n"},
                                                         {"kmemleak", " kmemleak_scan\n"},
                                                         {"UBSAN", " __ubsan_handle_out_of_bounds\n"},
                                                         {"KCSAN", " __kcsan_setup_watchpoint\n"},
                                                         {"page table check", " __page_table_check_zero\n"}};
    json found = json::array();
    for (const auto &[name, symbol] : all)
        if (symbols.find(symbol) != std::string::npos)
            found.push_back(name);
    if (::access("/proc/sys/kernel/hung_task_timeout_secs", F_OK) == 0)
        found.push_back("hung tasks");
    return found;
}

json counts_of(const std::vector<std::unique_ptr<Worker>> &workers)
{
    json sum = json::object();
    json errors = json::object();
    json by_worker = json::object();
    const auto add = [](json &into, const std::string &name, std::uint64_t count) {
        into[name] = into.value(name, std::uint64_t{0}) + count;
    };
    for (const auto &worker : workers) {
        const SurviveCounts &counts = worker->counts();
        const std::pair<const char *, std::uint64_t> all[] = {{"accesses", counts.accesses},
                                                              {"failures", counts.failures},
                                                              {"mapping_faults", counts.mapping_faults},
                                                              {"changed_reads", counts.changed_reads},
                                                              {"foreign_memory", counts.foreign_memory},
                                                              {"foreign_region", counts.foreign_region},
                                                              {"programs", counts.programs},
                                                              {"program_failures", counts.program_failures},
                                                              {"hangs", counts.hangs},
                                                              {"rounds", counts.rounds}};
        for (const auto &[name, count] : all)
            add(sum, name, count);
        add(sum, "worker_deaths", worker->deaths());
        by_worker[worker->name()] = {{"rounds", counts.rounds.load()}, {"deaths", worker->deaths()}};
        for (std::size_t error = 0; error < counts.errors.size(); ++error)
            if (counts.errors[error] > 0) {
                const char *const name = ::strerrorname_np(static_cast<int>(error));
                add(errors, name ? name : "others", counts.errors[error]);
            }
    }
    return {{"counts", sum}, {"errors", errors}, {"workers", by_worker}};
}

json run_phase(const RunRequest &request, const std::vector<PristineFile> &files)
{
    const auto argv = request.workload.value("argv", std::vector<std::string>{});
    const auto seconds = request.workload.at("seconds").get<std::uint64_t>();
    const SurviveJob job{request.target, files, argv, request.workload.value("seed", std::uint64_t{1}),
                         now_ns() + seconds * second};
    std::vector<std::unique_ptr<Worker>> workers;
    for (const Kind &kind : kinds)
        if (kind.work != program_worker || !argv.empty())
            workers.push_back(std::make_unique<Worker>(kind, job));
    for (bool alive = true; alive;) {
        ::usleep(50'000);
        alive = false;
        for (const auto &worker : workers)
            alive = worker->watch() || alive;
    }
    return counts_of(workers);
}

} // namespace

json run_survive_engine(const RunRequest &request)
{
    static std::optional<std::vector<PristineFile>> files;
    static std::optional<MemoryCanary> canary;
    request.progress(request.workload.value("id", "survive"));
    if (request.workload.value("phase", "prepare") == "run") {
        if (!files)
            throw std::runtime_error("expected the phase prepare before the phase run, it was not asked for");
        return run_phase(request, *files);
    }
    // A device by mistake is not to be opened, a set-user-ID program by mistake not to be root's.
    if (::mount(nullptr, request.target.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, nullptr) < 0)
        throw_errno("cannot make " + request.target + " nodev");
    try {
        write_file("/proc/sys/kernel/hung_task_timeout_secs", "10");
    } catch (const std::exception &) {
        // Not every kernel looks for them; checkers() says.
    }
    files = look_at_files(request.target);
    canary.emplace();
    return {{"files", files->size()}, {"canary_size", canary->size()}, {"checkers", checkers()}};
}

} // namespace daxbench
