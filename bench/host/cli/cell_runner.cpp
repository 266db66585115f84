// SPDX-License-Identifier: Apache-2.0
#include "cell_runner.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "cell_input.hpp"
#include "inputs.hpp"
#include "native_host.hpp"
#include "results.hpp"

namespace daxbench {
namespace {

using std::string;
using std::vector;

std::size_t cells_in(const vector<Portion> &portions)
{
    std::size_t count = 0;
    for (const auto &portion : portions)
        count += portion.size();
    return count;
}

double seconds_of(const vector<Portion> &portions)
{
    double sum = 0;
    for (const auto &portion : portions)
        sum += estimate_seconds(portion, 1);
    return sum;
}

} // namespace

std::uint64_t memory_of(const Cell &cell)
{
    return static_cast<std::uint64_t>(cell.memory_mib) * static_cast<std::uint64_t>(cell.instances) << 20;
}

JobLimits CellRunner::limits() const
{
    // Instructions count the same beside others; times do not.
    const unsigned by_default = world_.accel.name == "tcg" || world_.accel.name == "none" ? host_.cores : 1;
    return {options_.jobs > 0 ? options_.jobs : std::max(1U, by_default),
            host_environment().memory_available_bytes};
}

void CellRunner::run(const vector<Portion> &portions)
{
    const auto limit = limits();
    const auto host =
        world_.native ? make_native_host(world_, catalogue_, display_)
                      : make_guest_host(world_, catalogue_, display_, {options_.logs, options_.keep_guests});
    vector<Job> jobs;
    for (const auto &portion : portions)
        jobs.push_back(job_of(portion, *host, limit.slots));
    display_.begin(cells_in(portions), seconds_of(portions), limit.slots);
    const auto refused = run_jobs(jobs, limit, interrupted, [this] { display_.tick(); });
    throw_if_interrupted();
    for (const auto index : refused)
        for (const auto &cell : portions[index])
            record(cell, "skipped",
                   fmt::format("expected {} MiB of free memory, there are {} MiB", memory_of(cell) >> 20,
                               limit.memory_bytes >> 20));
}

Job CellRunner::job_of(const Portion &portion, GuestHost &host, unsigned slots)
{
    Job job;
    const auto &cell = portion.front();
    if (!needs_guest(cell)) { // what takes time on the host is measured with nothing else of ours running
        job.guests = slots;
        job.resource = cell.dataset;
        job.run = [this, &portion] { run_builds(portion); };
        return job;
    }
    job.guests = static_cast<unsigned>(cell.instances);
    job.memory_bytes = memory_of(cell);
    job.resource = catalogue_.filesystems.at(cell.filesystem).needed_image() + "/" + cell.dataset;
    job.exclusive = cell.driver == Driver::instances || cell.driver == Driver::frames;
    job.run = [this, &cell, &host] { run_one(cell, host); };
    return job;
}

void CellRunner::run_builds(const vector<Cell> &cells)
{
    vector<Cell> ready;
    for (const auto &cell : cells)
        if (const auto missing = why_not(world_, catalogue_, cell); missing.empty())
            ready.push_back(cell);
        else
            record_failure(cell, missing);
    if (ready.empty())
        return;
    try {
        const auto &dataset = world_.datasets.at(ready.front().dataset);
        const auto host = make_build_host(
            dataset, world_.image_tools,
            {world_.paths.build / "bench/host/measured", dataset.dir.parent_path().parent_path(),
             options_.logs, [this](const string &cell, const string &text) { display_.step(cell, text); }});
        const auto results = daxbench::run_builds(ready, dataset.entries, *host);
        for (std::size_t i = 0; i < ready.size(); ++i)
            record(ready[i], results[i]);
    } catch (const std::exception &error) { // Ctrl-C among them: the run says so of each cell
        if (!interrupted())
            for (const auto &cell : ready)
                record_failure(cell, error.what());
    }
}

void CellRunner::run_one(const Cell &cell, GuestHost &host)
{
    // First: a kernel that is too old also lacks the module.
    const auto release = kernel_release(world_, cell);
    if (const auto reason = too_old(release, catalogue_.filesystems.at(cell.filesystem));
        !release.empty() && !reason.empty()) {
        record(cell, "unsupported", reason);
        return;
    }
    if (const auto missing = why_not(world_, catalogue_, cell); !missing.empty()) {
        record_failure(cell, missing);
        return;
    }
    record(cell, run_cell(cell_input(world_, catalogue_, cell), host));
}

void CellRunner::record(const Cell &cell, const string &status, const string &reason)
{
    CellResult result;
    result.status = status;
    result.error = reason;
    record(cell, result);
}

/// Called in a cell's thread; an error here must not end the program without results.
void CellRunner::record(const Cell &cell, const CellResult &result)
{
    try {
        const auto name = file_name_of(cell.id);
        auto document = cell_document(cell, result, "logs/" + name);
        for (auto &row : document["measurements"])
            if (row["kernel"] == "")
                row["kernel"] = kernel_release(world_, cell);
        document["inputs"] = inputs_of(world_, catalogue_, cell, git_, host_);
        write_file(options_.cells / (name + ".json"), document.dump(1) + "\n");
    } catch (const std::exception &error) {
        display_.say(fmt::format("{}: {}", cell.id, error.what()));
    }
    display_.end(cell.id, cell.estimate_s, result.seconds, result.status, result.error);
}

} // namespace daxbench
