// SPDX-License-Identifier: Apache-2.0
#include "slurm_cells.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/core.h>

#include "cell_runner.hpp"
#include "inputs.hpp"
#include "results.hpp"
#include "slurm.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;
using std::vector;

/// What QEMU and the bench take beside the guests' RAM.
constexpr std::uint64_t overhead_mib = 512;

class Jobs {
public:
    Jobs(const World &world, const Catalogue &catalogue, const SlurmRun &run, Display &display)
        : world_(world), catalogue_(catalogue), run_(run), display_(display),
          failures_(world, catalogue, run.host, run.git, display, {run.dir / "cells", run.dir / "logs"})
    {
    }

    SlurmJob job_of(const Portion &portion)
    {
        const auto &first = portion.front();
        SlurmJob job;
        job.what = first.id;
        job.cpus = static_cast<unsigned>(first.instances * (world_.accel.name == "kvm" ? first.cpus : 1));
        job.memory_mib = (memory_of(first) >> 20) + overhead_mib;
        // Memory of an image, and times, are measured with nothing else on the machine.
        job.exclusive = first.driver != Driver::single || world_.accel.name != "tcg";
        job.log = run_.dir / "logs" / (file_name_of(first.id) + ".slurm.log");
        job.command = [this, &portion](int attempt) { return command(portion, attempt); };
        job.take = [this, &portion](int attempt) { return take(portion, attempt); };
        job.end = [this, &portion](const string &reason) {
            if (!reason.empty())
                for (const auto &cell : portion)
                    failures_.record_failure(cell, reason);
        };
        return job;
    }

private:
    fs::path folder(const Portion &portion, int attempt) const
    {
        return run_.dir / "jobs" / fmt::format("{}.{}", file_name_of(portion.front().id), attempt);
    }

    Argv command(const Portion &portion, int attempt) const
    {
        const auto out = folder(portion, attempt);
        fs::remove_all(out); // of a session before
        fs::create_directories(out);
        Argv argv{fs::read_symlink("/proc/self/exe").string(), "cell", run_.dir.string(), out.string()};
        for (const auto &cell : portion)
            argv.push_back(cell.id);
        return argv;
    }

    bool take(const Portion &portion, int attempt)
    {
        const auto out = folder(portion, attempt);
        vector<fs::path> files;
        for (const auto &cell : portion)
            files.push_back(out / (file_name_of(cell.id) + ".json"));
        if (!std::ranges::all_of(files, [](const auto &file) { return fs::exists(file); }))
            return false;
        vector<json> documents;
        for (const auto &file : files)
            documents.push_back(json::parse(read_file(file)));
        // A job that Slurm stopped says so of its cells.
        if (std::ranges::any_of(documents, [](const auto &one) { return one.at("status") == "interrupted"; }))
            return false;
        for (std::size_t i = 0; i < portion.size(); ++i)
            take_cell(portion[i], files[i], documents[i]);
        fs::remove_all(out);
        return true;
    }

    /// One that was measured on something else, on a machine with other programs, is no result.
    void take_cell(const Cell &cell, const fs::path &file, const json &document)
    {
        const auto differs =
            difference(inputs_of(world_, catalogue_, cell, run_.git, run_.host), document.at("inputs"));
        if (!differs.empty()) {
            failures_.record_failure(
                cell,
                fmt::format("expected the job to measure with what this run has, it did with others: {}",
                            differs));
            return;
        }
        fs::rename(file, run_.dir / "cells" / file.filename());
        display_.end(cell.id, cell.estimate_s, document.at("seconds"), document.at("status"),
                     document.value("error", document.value("reason", "")));
    }

    const World &world_;
    const Catalogue &catalogue_;
    const SlurmRun &run_;
    Display &display_;
    CellRunner failures_; ///< runs nothing here, but writes documents
};

} // namespace

void run_cells_on_slurm(const World &world, const Catalogue &catalogue, const SlurmRun &run,
                        const vector<Portion> &portions, Display &display)
{
    Jobs made(world, catalogue, run, display);
    vector<SlurmJob> jobs;
    std::size_t cells = 0;
    double seconds = 0;
    for (const auto &portion : portions) {
        jobs.push_back(made.job_of(portion));
        cells += portion.size();
        seconds += estimate_seconds(portion, 1);
    }
    SlurmOptions options;
    options.name = "daxbench-" + run.id;
    options.at_once = run.at_once;
    display.begin(cells, seconds, run.at_once > 0 ? run.at_once : static_cast<unsigned>(jobs.size()));
    run_on_slurm(
        jobs, options, [&](const string &line) { display.say(line); }, [&] { display.tick(); });
    fs::remove_all(run.dir / "jobs");
}

} // namespace daxbench
