// SPDX-License-Identifier: Apache-2.0
// Many containers on one mount, all alive: the guest's memory by kind, and by how much each one more adds to
// it.
#include <cerrno>
#include <csignal>
#include <memory>
#include <stdexcept>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cold.hpp"
#include "container.hpp"
#include "container_output.hpp"
#include "engines.hpp"
#include "frames.hpp"
#include "image_cache.hpp"
#include "process.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

// One that has printed its line and waits for the end of its input.
class LivingContainer {
public:
    LivingContainer(const std::string &name, const std::string &lower, const json &workload)
        : input_(make_pipe()), container_(name, lower, program(workload)), pid_(container_.start())
    {
        output_.close_writer();
        input_.read_end.reset();
        try {
            output_.read_to_line(workload.at("ready"), ready_timeout_s);
        } catch (...) {
            end();
            throw;
        }
    }
    LivingContainer(const LivingContainer &) = delete;
    LivingContainer &operator=(const LivingContainer &) = delete;
    ~LivingContainer() { end(); }

    pid_t pid() const { return pid_; }

private:
    static constexpr int ready_timeout_s = 300;

    void end() const
    {
        ::kill(pid_, SIGKILL); // and with the first process of its namespace all the others
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }

    ContainerProgram program(const json &workload) const
    {
        return {workload.at("argv").get<std::vector<std::string>>(), program_environment(workload),
                input_.read_end.get(), output_.writer(), output_.writer()};
    }

    Pipe input_;
    ContainerOutput output_;
    Container container_;
    pid_t pid_;
};

double used(const json &memory)
{
    return memory.at("mem_total").get<double>() - memory.at("mem_free").get<double>() -
           memory.at("mem_free_per_cpu").get<double>();
}

json bytes_metric(double bytes)
{
    return {{"unit", "bytes"}, {"samples", {bytes}}};
}

json growths(const json &before, const json &after)
{
    const auto grown = [&](const char *kind) {
        return bytes_metric(after.at(kind).get<double>() - before.at(kind).get<double>());
    };
    return {{"anonymous_bytes", grown("anonymous")},
            {"slab_bytes", grown("slab")},
            {"meminfo_page_table_bytes", grown("page_tables")},
            {"upper_bytes", grown("shmem")},
            {"guest_memory_bytes", bytes_metric(used(after) - used(before))}};
}

void add_frames(const std::vector<pid_t> &pids, const json &workload, json &extra)
{
    const Frames frames = count_frames(pids, pmem_ranges(workload));
    const auto metric = [](std::uint64_t bytes) { return bytes_metric(static_cast<double>(bytes)); };
    extra["frames_pmem_bytes"] = metric(frames.pmem);
    extra["frames_page_cache_bytes"] = metric(frames.page_cache);
    extra["frames_anonymous_bytes"] = metric(frames.anonymous);
}

} // namespace

json run_containers_engine(const RunRequest &request)
{
    request.load("overlay");
    const json &workload = request.workload;
    const int count = workload.at("containers");
    settle(); // what containers before left to the kernel is done
    make_cold(request.target);
    const ContainerStore store;
    const ImageCache cache(request.target);
    const json before = memory_by_kind();
    json first;
    std::vector<std::unique_ptr<LivingContainer>> containers;
    std::vector<pid_t> pids;
    for (int i = 0; i < count; ++i) {
        containers.push_back(
            std::make_unique<LivingContainer>(fmt::format("c{}", i), request.target, workload));
        pids.push_back(containers.back()->pid());
        request.progress(fmt::format("{}: {} of {}", workload.value("id", "containers"), i + 1, count));
        if (i == 0) {
            settle();
            first = memory_by_kind();
        }
    }
    settle();
    const json after = count == 1 ? first : memory_by_kind();
    json extra = growths(before, after);
    if (count > 1)
        extra["container_bytes"] = bytes_metric((used(after) - used(first)) / (count - 1));
    add_frames(pids, workload, extra);
    return {{"results",
             {{{"metric", "image_cache_bytes"},
               {"unit", "bytes"},
               {"samples", {cache.bytes()}},
               {"operations", count},
               {"extra", extra}}}},
            {"raw", {{"before", before}, {"first", first}, {"after", after}}}};
}

} // namespace daxbench
