// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include "build_driver.hpp"
#include "cache.hpp"
#include "display.hpp"
#include "environment.hpp"
#include "guest_host.hpp"
#include "results.hpp"
#include "scheduler.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;
using std::vector;

constexpr const char *python = "/usr/bin/python3";

std::uint64_t memory_of(const Cell &cell)
{
    return static_cast<std::uint64_t>(cell.memory_mib) * static_cast<std::uint64_t>(cell.instances) << 20;
}

/// One run in progress.
class Run {
public:
    Run(const Catalogue &catalogue, const RunRequest &request, vector<Cell> cells, std::ostream &err,
        std::size_t columns)
        : catalogue_(catalogue), request_(request), paths_(own_paths()), cells_(std::move(cells)),
          display_(err, columns)
    {
        const auto &suite = catalogue.suites.at(request.plan.suite);
        info_.suite = suite.id;
        info_.title = suite.title;
        info_.subject = suite.subject;
        info_.profile = request.plan.profile;
        info_.started = iso_time(started_);
        info_.command = request.command;
    }

    /// Returns results.json's content. Throws for what keeps any cell from running.
    nlohmann::json execute()
    {
        // Where no guest runs at all there is nothing to write a result of.
        const bool ready = until_interrupted([this] { make_ready(); });
        make_run_dir();
        if (ready)
            until_interrupted([this] {
                add_needs(*world_, catalogue_, cells_, progress_);
                run_cells();
            });
        return finish();
    }

    const fs::path &dir() const { return dir_; }
    const std::string &table() const { return table_; } ///< for the terminal; "" where there is none

private:
    /// False when Ctrl-C ended it.
    template <typename Work> bool until_interrupted(Work work)
    {
        try {
            work();
            return true;
        } catch (const Interrupted &) {
            display_.say("interrupted; writing what was measured");
            return false;
        }
    }

    void make_ready()
    {
        if (std::none_of(cells_.begin(), cells_.end(), needs_guest)) {
            world_ = make_host_base(paths_);
            return;
        }
        world_ = make_base(paths_, request_.kernel, request_.accel, catalogue_, cells_, false, progress_);
        display_.say(fmt::format("accelerator: {} ({})", world_->accel.name, world_->accel.reason));
    }

    void make_run_dir()
    {
        const auto root = request_.results.empty() ? paths_.source / "results" : request_.results;
        fs::create_directories(root);
        // Two runs of one suite in the same second get different names.
        for (auto when = started_;; when += std::chrono::seconds(1)) {
            info_.id = stamp(when) + "-" + info_.suite;
            dir_ = fs::absolute(root) / info_.id;
            if (fs::create_directory(dir_))
                break;
        }
        fs::create_directory(dir_ / "cells");
        fs::create_directory(dir_ / "logs");
    }

    JobLimits limits() const
    {
        const unsigned by_default = world_->accel.name == "kvm" ? 1 : host_.cores;
        return {request_.jobs > 0 ? request_.jobs : std::max(1U, by_default),
                host_environment().memory_available_bytes};
    }

    void run_cells()
    {
        const auto limit = limits();
        const auto host =
            make_guest_host(*world_, catalogue_, display_, {dir_ / "logs", request_.keep_guests});
        vector<Job> jobs;
        vector<const Cell *> first; // of each job's cells
        for (const auto &cell : cells_)
            if (needs_guest(cell)) {
                jobs.push_back(job_of(cell, *host));
                first.push_back(&cell);
            }
        const auto builds = builds_by_dataset();
        for (const auto &[key, cells] : builds) {
            jobs.push_back(job_of_builds(cells, limit.slots));
            first.push_back(&cells.front());
        }
        display_.begin(cells_.size(), estimate_seconds(cells_, 1), limit.slots);
        const auto refused = run_jobs(jobs, limit, interrupted, [this] { display_.tick(); });
        for (const auto index : refused)
            if (!interrupted())
                skip(*first[index], fmt::format("expected {} MiB of free memory, there are {} MiB",
                                                memory_of(*first[index]) >> 20, limit.memory_bytes >> 20));
        throw_if_interrupted();
    }

    Job job_of(const Cell &cell, GuestHost &host)
    {
        Job job;
        job.guests = static_cast<unsigned>(cell.instances);
        job.memory_bytes = memory_of(cell);
        job.resource = catalogue_.filesystems.at(cell.filesystem).needed_image() + "/" + cell.dataset;
        job.exclusive = cell.driver == Driver::instances || cell.driver == Driver::frames;
        job.run = [this, &cell, &host] { run_one(cell, host); };
        return job;
    }

    /// Cells of one experiment and dataset are measured together, in turns.
    std::map<std::pair<string, string>, vector<Cell>> builds_by_dataset() const
    {
        std::map<std::pair<string, string>, vector<Cell>> groups;
        for (const auto &cell : cells_)
            if (!needs_guest(cell))
                groups[{cell.experiment, cell.dataset}].push_back(cell);
        return groups;
    }

    /// What takes time on the host is measured with nothing else of ours running.
    Job job_of_builds(const vector<Cell> &cells, unsigned slots)
    {
        Job job;
        job.guests = slots;
        job.resource = cells.front().dataset;
        job.run = [this, cells] { run_cells_of_builds(cells); };
        return job;
    }

    void run_cells_of_builds(const vector<Cell> &cells)
    {
        vector<Cell> ready;
        for (const auto &cell : cells)
            if (const auto missing = why_not(*world_, catalogue_, cell); missing.empty())
                ready.push_back(cell);
            else
                record_failure(cell, missing);
        if (ready.empty())
            return;
        try {
            const auto &dataset = world_->datasets.at(ready.front().dataset);
            const auto host = make_build_host(
                dataset, world_->image_tools,
                {paths_.build / "bench/host/measured", dataset.dir.parent_path().parent_path(), dir_ / "logs",
                 [this](const string &cell, const string &text) { display_.step(cell, text); }});
            const auto results = run_builds(ready, dataset.entries, *host);
            for (std::size_t i = 0; i < ready.size(); ++i)
                record(ready[i], results[i]);
        } catch (const std::exception &error) { // Ctrl-C among them: finish() says so of each cell
            if (!interrupted())
                for (const auto &cell : ready)
                    record_failure(cell, error.what());
        }
    }

    void run_one(const Cell &cell, GuestHost &host)
    {
        if (const auto missing = why_not(*world_, catalogue_, cell); !missing.empty()) {
            record_failure(cell, missing);
            return;
        }
        CellInput input;
        input.cell = cell;
        input.filesystem = catalogue_.filesystems.at(cell.filesystem);
        input.probe_file = probe_file_of(catalogue_.datasets.at(cell.dataset));
        const auto &dataset = world_->datasets.at(cell.dataset);
        input.data_bytes = dataset.data_bytes;
        input.distinct_bytes = dataset.distinct_bytes;
        if (cell.driver == Driver::instances)
            input.digest = digest_of(dataset);
        const auto &image = world_->images.at({input.filesystem.needed_image(), cell.dataset});
        input.image_bytes = fs::file_size(image.path);
        input.clock = counts_instructions(*world_, cell) ? "instructions" : "ns";
        record(cell, run_cell(input, host));
    }

    void record_failure(const Cell &cell, const string &reason)
    {
        CellResult result;
        result.status = "failed";
        result.error = reason;
        record(cell, result);
    }

    void skip(const Cell &cell, const string &reason)
    {
        CellResult result;
        result.status = "skipped";
        result.error = reason;
        record(cell, result);
    }

    /// Called in a cell's thread; an error here must not end the program without results.
    void record(const Cell &cell, const CellResult &result)
    {
        try {
            const auto name = file_name_of(cell.id);
            auto document = cell_document(cell, result, "logs/" + name);
            for (auto &row : document["measurements"])
                if (row["kernel"] == "")
                    row["kernel"] = kernel_release(*world_, cell);
            document["inputs"] = inputs_of(cell);
            write_file(dir_ / "cells" / (name + ".json"), document.dump(1) + "\n");
        } catch (const std::exception &error) {
            display_.say(fmt::format("{}: {}", cell.id, error.what()));
        }
        display_.end(cell.id, cell.estimate_s, result.seconds, result.status, result.error);
    }

    /// What a cell measured elsewhere must have in common with this run to be merged into it.
    nlohmann::json inputs_of(const Cell &cell) const
    {
        nlohmann::json inputs = {{"kernel", kernel_release(*world_, cell)},
                                 {"accelerator", world_->accel.name},
                                 {"git", git_.commit},
                                 {"image", nullptr}};
        if (!needs_guest(cell))
            return inputs;
        const auto &id = catalogue_.filesystems.at(cell.filesystem).needed_image();
        if (const auto image = world_->images.find({id, cell.dataset}); image != world_->images.end())
            inputs["image"] = image->second.xxh3;
        return inputs;
    }

    /// Every cell has a document: those that were not reached get one that says so.
    vector<nlohmann::json> all_documents()
    {
        vector<nlohmann::json> documents;
        for (const auto &cell : cells_) {
            auto found = read_cells(dir_, {cell});
            if (found.empty()) {
                CellResult result;
                result.status = interrupted() ? "interrupted" : "failed";
                result.error =
                    interrupted() ? "the run was interrupted before it" : "its result could not be written";
                found.push_back(cell_document(cell, result, ""));
            }
            documents.push_back(std::move(found.front()));
        }
        return documents;
    }

    nlohmann::json finish()
    {
        display_.working("writing results");
        Composition parts;
        parts.catalogue = &catalogue_;
        parts.limits = catalogue_.suites.at(info_.suite).limits;
        parts.run = info_;
        parts.seconds = Seconds(std::chrono::steady_clock::now() - start_).count();
        parts.interrupted = interrupted();
        parts.cells = all_documents();
        parts.environment = environment();
        if (world_)
            for (const auto &[id, dataset] : world_->datasets)
                parts.datasets.push_back(dataset);
        if (world_)
            for (const auto &[key, image] : world_->images)
                parts.images.push_back(image);
        auto results = compose(parts);
        write_results(dir_, results, paths_);
        if (results["run"]["status"] == "complete")
            point_latest_at(dir_);
        if (!interrupted())
            report();
        display_.clear();
        return results;
    }

    nlohmann::json environment()
    {
        return environment_document(host_, git_, world_ ? &*world_ : nullptr, read_cells(dir_, cells_));
    }

    /// Report and figures beside the results; the verdict, for the terminal, is the analysis's, too.
    void report()
    {
        display_.working("drawing figures");
        CommandOptions options;
        options.log = dir_ / "logs/report.log";
        const auto done = run_command(
            {python, (paths_.source / "analysis/report.py").string(), dir_.string(), "--table"}, options);
        if (done.ok())
            table_ = done.out;
        else
            display_.say(fmt::format("no table, report or figures: {}; see {}",
                                     done.err.substr(0, done.err.find('\n')), options.log.string()));
    }

    const Catalogue &catalogue_;
    const RunRequest &request_;
    const Paths paths_;
    // Recorded before anything runs; after Ctrl-C no command could be asked any more.
    const HostEnvironment host_ = host_environment();
    const GitState git_ = git_state(paths_.source);
    const vector<Cell> cells_;
    Display display_;
    RunInfo info_;
    fs::path dir_;
    const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    const Progress progress_ = [this](const string &line) { display_.working(line); };
    std::optional<World> world_;
    std::string table_;
};

void print_paths(std::ostream &out, const fs::path &dir)
{
    out << '\n';
    for (const char *name : {"results.json", "report.html", "report.md", "figures", "logs"})
        if (fs::exists(dir / name))
            fmt::print(out, "{}\n", (dir / name).string());
}

void print_dry(std::ostream &out, const World &world, const Catalogue &catalogue, const Cell &cell)
{
    fmt::print(out, "{}\n", cell.id);
    if (!needs_guest(cell)) {
        fmt::print(out, "    {}\n",
                   quoted(image_command(world.image_tools.at(cell.filesystem),
                                        world.datasets.at(cell.dataset).dir.string(), "IMAGE")));
        return;
    }
    for (int instance = 0; instance < cell.instances; ++instance) {
        const auto config =
            guest_config(world, catalogue, cell, instance, fs::path("LOGS") / file_name_of(cell.id));
        fmt::print(out, "    {}\n", quoted(qemu_command(config, "RUN_DIR")));
    }
}

/// As the manual says: 1 where something was not measured or shown, 3 where a limit was missed.
int exit_status(const nlohmann::json &results, bool shown)
{
    if (results.at("run").at("status") != "complete" || !results.at("errors").empty() || !shown)
        return 1;
    const auto &limits = results.at("limits");
    return std::ranges::any_of(limits, [](const auto &limit) { return limit.at("met") == false; }) ? 3 : 0;
}

int dry_run(const Catalogue &catalogue, const RunRequest &request, const vector<Cell> &cells,
            std::ostream &out, std::ostream &err, std::size_t columns)
{
    Display display(err, columns);
    const auto world = foresee(own_paths(), request.kernel, request.accel, catalogue, cells,
                               [&](const string &line) { display.working(line); });
    display.clear();
    for (const auto &cell : cells)
        print_dry(out, world, catalogue, cell);
    fmt::print(out, "{} cells\n", cells.size());
    return 0;
}

} // namespace

int run_suite(const Catalogue &catalogue, const RunRequest &request, std::ostream &out, std::ostream &err,
              std::size_t columns)
{
    auto cells = make_plan(catalogue, request.plan);
    if (request.dry_run)
        return dry_run(catalogue, request, cells, out, err, columns);
    Run run(catalogue, request, std::move(cells), err, columns);
    const auto results = run.execute();
    out << run.table();
    print_paths(out, run.dir());
    return exit_status(results, !run.table().empty());
}

} // namespace daxbench
