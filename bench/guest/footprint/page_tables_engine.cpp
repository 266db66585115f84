// SPDX-License-Identifier: Apache-2.0
// Many processes that map one file and touch a few of its pages: what their page tables take.
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "frames.hpp"
#include "io.hpp"
#include "permutation.hpp"
#include "selection.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;

struct Job {
    SelectedFile file;
    int flags;
    std::vector<std::uint32_t> pages;
};

// In the child; how much its page tables grew.
std::uint64_t map_and_touch(const Job &job)
{
    const std::uint64_t before = own_page_table_bytes();
    const UniqueFd fd = open_file(job.file.path, O_RDONLY);
    void *const map = ::mmap(nullptr, job.file.size, PROT_READ, job.flags, fd.get(), 0);
    if (map == MAP_FAILED)
        throw_errno("cannot map " + job.file.path);
    const auto *bytes = static_cast<const volatile char *>(map);
    for (const std::uint32_t page : job.pages)
        (void)bytes[page * page_size];
    return own_page_table_bytes() - before;
}

// Children that live until it does not; each says by how much its page tables grew.
class Processes {
public:
    Processes()
    {
        if (::pipe2(answers_, O_CLOEXEC) < 0 || ::pipe2(leave_, O_CLOEXEC) < 0)
            throw_errno("cannot make a pipe");
    }
    Processes(const Processes &) = delete;
    Processes &operator=(const Processes &) = delete;
    ~Processes()
    {
        for (const int fd : {answers_[0], answers_[1], leave_[0], leave_[1]})
            ::close(fd);
        for (const pid_t pid : children_)
            ::waitpid(pid, nullptr, 0);
    }

    std::uint64_t add(const Job &job)
    {
        const pid_t pid = ::fork();
        if (pid < 0)
            throw_errno("cannot fork");
        if (pid == 0)
            live(job);
        children_.push_back(pid);
        std::uint64_t bytes = 0;
        if (::read(answers_[0], &bytes, sizeof bytes) != sizeof bytes || bytes == failed)
            throw std::runtime_error("expected a process that maps " + job.file.path + ", it could not");
        return bytes;
    }

private:
    static constexpr std::uint64_t failed = ~std::uint64_t{0};

    [[noreturn]] void live(const Job &job)
    {
        ::close(leave_[1]);
        std::uint64_t bytes = failed;
        try {
            bytes = map_and_touch(job);
        } catch (const std::exception &) {
            // told by the number
        }
        (void)!::write(answers_[1], &bytes, sizeof bytes);
        char byte;
        (void)!::read(leave_[0], &byte, 1);
        ::_exit(0);
    }

    int answers_[2];
    int leave_[2];
    std::vector<pid_t> children_;
};

struct Taken {
    std::uint64_t grown = 0;   // by the mappings
    std::uint64_t meminfo = 0; // by the processes, with all that they are
};

Taken page_tables_of(const Job &job, int processes)
{
    Taken taken;
    const std::uint64_t before = memory_by_kind().at("page_tables");
    Processes children;
    for (int i = 0; i < processes; ++i)
        taken.grown += children.add(job);
    taken.meminfo = memory_by_kind().at("page_tables").get<std::uint64_t>() - before;
    return taken;
}

} // namespace

json run_page_tables_engine(const RunRequest &request)
{
    const json &workload = request.workload;
    Job job{select_files(request.target, workload)[0], MAP_SHARED, {}};
    job.pages = permutation((job.file.size + page_size - 1) / page_size, request.seed);
    job.pages.resize(std::min<std::size_t>(job.pages.size(), workload.at("touches")));
    const int processes = workload.at("processes");
    json results = json::array();
    for (const std::string variant : workload.value("variants", json::array({"shared"}))) {
        request.progress(fmt::format("{}/{}", workload.value("id", "page-tables"), variant));
        job.flags = variant == "private" ? MAP_PRIVATE : MAP_SHARED;
        const Taken taken = page_tables_of(job, processes);
        results.push_back(
            {{"variant", variant},
             {"metric", "page_table_bytes"},
             {"unit", "bytes"},
             {"samples", {taken.grown}},
             {"operations", processes},
             {"extra", {{"meminfo_page_table_bytes", {{"unit", "bytes"}, {"samples", {taken.meminfo}}}}}}});
    }
    return {{"results", results}, {"raw", {{"file", job.file.path}}}};
}

} // namespace daxbench
