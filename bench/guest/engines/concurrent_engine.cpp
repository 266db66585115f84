// SPDX-License-Identifier: Apache-2.0
// One operation by several processes at once, each on a CPU of its own, on one file or on one each: what it
// costs, all CPUs added up, and how often a lock was waited for. Emulated CPUs take turns of some ten
// thousand instructions: a lock is found taken only where a turn ended inside it, so that those counts
// compare filesystems and kinds of sharing, and are no measure of what real CPUs would wait.
#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "contention.hpp"
#include "engines.hpp"
#include "io.hpp"
#include "operation_parts.hpp"
#include "permutation.hpp"
#include "selection.hpp"
#include "system.hpp"
#include "worker.hpp"

namespace daxbench {

namespace {

// Of one process: `operations` of them a round.
struct Job {
    std::string op;
    SelectedFile file;
    std::uint64_t operations = 0;
    std::uint64_t seed = 0;
};

void read_blocks(const Job &job, int fd, char *buffer)
{
    Random random(job.seed);
    for (std::uint64_t i = 0; i < job.operations; ++i)
        if (::pread(fd, buffer, page_size,
                    static_cast<off_t>(random.below(job.file.size / page_size) * page_size)) < 0)
            throw_errno("cannot read " + job.file.path);
}

void open_and_close(const Job &job)
{
    for (std::uint64_t i = 0; i < job.operations; ++i)
        open_file(job.file.path, O_RDONLY);
}

// Each touch in a mapping of its own, so that each faults whatever is mapped around it.
void map_and_touch(const Job &job, int fd)
{
    Random random(job.seed);
    for (std::uint64_t i = 0; i < job.operations; ++i) {
        const auto at = static_cast<off_t>(random.below(job.file.size / page_size) * page_size);
        void *const map = ::mmap(nullptr, page_size, PROT_READ, MAP_SHARED, fd, at);
        if (map == MAP_FAILED)
            throw_errno("cannot map " + job.file.path);
        touch_pages(static_cast<const char *>(map), 1);
        ::munmap(map, page_size);
    }
}

Task make_task(const Job &job, int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<unsigned>(cpu), &cpus);
    if (::sched_setaffinity(0, sizeof cpus, &cpus) < 0)
        throw_errno(fmt::format("cannot run on CPU {}", cpu));
    const auto fd = std::make_shared<UniqueFd>(open_file(job.file.path, O_RDONLY));
    const auto buffer = std::make_shared<Buffer>(page_size);
    return [job, fd, buffer] {
        if (job.op == "read")
            read_blocks(job, fd->get(), buffer->data());
        else if (job.op == "open")
            open_and_close(job);
        else
            map_and_touch(job, fd->get());
        return std::string("done");
    };
}

// The largest files of the tree, largest first.
std::vector<SelectedFile> large_files(const std::string &target, std::size_t count)
{
    auto files = distinct_files(list_tree(target));
    std::ranges::stable_sort(files, std::ranges::greater(), &SelectedFile::size);
    if (files.size() < count || files[count - 1].size < page_size)
        throw std::runtime_error(fmt::format("expected {} files of a page or more, the tree has fewer: does "
                                             "the dataset fit the workload?",
                                             count));
    files.resize(count);
    return files;
}

void round(std::vector<Worker> &workers)
{
    for (Worker &worker : workers)
        worker.go();
    for (Worker &worker : workers)
        worker.line();
}

json measure(const json &workload, const std::string &variant, const std::vector<SelectedFile> &files,
             std::uint64_t seed)
{
    const int processes = workload.at("processes");
    const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
    if (processes > cpus)
        throw std::runtime_error(fmt::format("expected a guest with {} CPUs, it has {}: set cpus and "
                                             "emulated_cpus of the experiment",
                                             processes, cpus));
    std::vector<Worker> workers;
    for (int i = 0; i < processes; ++i) {
        const Job job{workload.at("op"), files[variant == "one-file" ? 0 : static_cast<std::size_t>(i)],
                      workload.value("operations", std::uint64_t{2000}),
                      seed + static_cast<std::uint64_t>(i)};
        workers.push_back(Worker::task([&] { return make_task(job, i); }));
        workers.back().line();
    }
    round(workers); // what it warms is not counted
    settle();
    const ContentionCount contentions;
    const std::uint64_t before = contentions.read();
    const std::uint64_t start = now_ns();
    round(workers);
    const auto ns = static_cast<double>(now_ns() - start);
    const std::uint64_t waited = contentions.read() - before;
    for (Worker &worker : workers)
        worker.finish();
    const auto operations = workload.value("operations", 2000.0) * processes;
    return {{"variant", variant},
            {"cache", "warm"},
            {"metric", "cost_per_op"},
            {"per", "op"},
            {"unit", "ns"},
            {"samples", {ns / operations}},
            {"operations", static_cast<std::uint64_t>(operations)},
            {"extra",
             {{"contentions", {{"unit", "count"}, {"samples", {waited}}}},
              {"contentions_per_million",
               {{"unit", "count"}, {"samples", {static_cast<double>(waited) * 1e6 / operations}}}}}}};
}

} // namespace

json run_concurrent_engine(const RunRequest &request)
{
    const auto files = large_files(request.target, request.workload.at("processes"));
    json results = json::array();
    for (const std::string variant :
         request.workload.value("files", json::array({"one-file", "many-files"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "concurrent"), variant));
        results.push_back(measure(request.workload, variant, files, request.seed));
    }
    return {{"results", results}, {"raw", json::object()}};
}

} // namespace daxbench
