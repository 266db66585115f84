// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include "cache.hpp"
#include "cell_runner.hpp"
#include "display.hpp"
#include "environment.hpp"
#include "inputs.hpp"
#include "publish.hpp"
#include "results.hpp"
#include "run_record.hpp"
#include "slurm_cells.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;
using std::vector;

/// One run in progress.
class Run {
public:
    Run(const Catalogue &catalogue, const RunRequest &request, vector<Cell> cells, std::ostream &err,
        std::size_t columns)
        : catalogue_(catalogue), request_(request), paths_(own_paths()), cells_(std::move(cells)),
          display_(err, columns)
    {
        if (!request.resume.empty()) {
            dir_ = fs::absolute(request.resume);
            record_ = read_record(dir_);
            lock_.emplace(dir_);
            return;
        }
        record_.suite = request.plan.suite;
        record_.started = iso_time(started_);
        record_.command = request.command;
        record_.folder = fs::current_path().string();
    }

    /// Returns results.json's content. Throws for what keeps any cell from running.
    json execute()
    {
        // Where no guest runs at all there is nothing to write a result of.
        const bool ready = until_interrupted([this] { make_ready(); });
        if (dir_.empty())
            make_dir();
        if (ready)
            until_interrupted([this] {
                add_needs(*world_, catalogue_, cells_, progress_);
                run_cells();
            });
        return finish();
    }

    const fs::path &dir() const { return dir_; }
    const string &table() const { return table_; } ///< for the terminal; "" where there is none

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
        } else if (request_.native) {
            world_ = make_native_base(paths_, catalogue_, *request_.native);
        } else {
            world_ = make_base(paths_, request_.kernel, request_.accel, catalogue_, cells_, false, progress_);
            display_.say(fmt::format("accelerator: {} ({})", world_->accel.name, world_->accel.reason));
        }
        record_.accelerator = world_->accel.name;
    }

    void make_dir()
    {
        const auto root = request_.results.empty() ? paths_.source / "results" : request_.results;
        dir_ = make_run_dir(root, record_.suite, started_);
        lock_.emplace(dir_);
        record_.id = dir_.filename().string();
        write_record(dir_, record_);
    }

    /// Those that still have to run. Throws where a finished one was measured on something else than what
    /// is here now: such cells do not belong into one run.
    vector<Cell> unfinished() const
    {
        vector<Cell> left;
        for (const auto &cell : cells_) {
            const auto found = read_cells(dir_, {cell});
            if (found.empty() || found.front().at("status") != "ok") {
                left.push_back(cell);
                continue;
            }
            const auto differs = found.front().at("cell") != to_json(cell)
                                     ? "its declaration"
                                     : difference(found.front().at("inputs"),
                                                  inputs_of(*world_, catalogue_, cell, git_, host_));
            if (!differs.empty())
                throw std::runtime_error(
                    fmt::format("expected to go on with what {} was measured with, now it is another: {}; "
                                "restore that, or start a new run",
                                cell.id, differs));
        }
        return left;
    }

    void run_cells()
    {
        auto left = cells_;
        if (!request_.resume.empty()) {
            left = unfinished();
            const auto kept = static_cast<int>(cells_.size() - left.size());
            record_.resumed.push_back({iso_time(started_), kept});
            display_.say(fmt::format("resumed: {} of {} cells are finished and stay", kept, cells_.size()));
        }
        write_record(dir_, record_);
        const auto portions = shuffled(portions_of(left), request_.seed);
        if (portions.empty())
            return;
        if (request_.executor == "slurm")
            run_cells_on_slurm(*world_, catalogue_, {dir_, record_.id, request_.jobs, git_, host_}, portions,
                               display_);
        else
            CellRunner(*world_, catalogue_, host_, git_, display_,
                       {dir_ / "cells", dir_ / "logs", request_.jobs, request_.keep_guests})
                .run(portions);
    }

    /// Every cell has a document: those that were not reached get one that says so.
    vector<json> all_documents()
    {
        vector<json> documents;
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

    json finish()
    {
        const auto &suite = catalogue_.suites.at(record_.suite);
        record_.seconds += Seconds(std::chrono::steady_clock::now() - start_).count();
        write_record(dir_, record_);
        Composition parts;
        parts.catalogue = &catalogue_;
        parts.limits = suite.limits;
        parts.run = {record_.id,      suite.id,        suite.title,   request_.plan.profile,
                     record_.started, record_.command, request_.seed, suite.subject};
        parts.run.command.insert(parts.run.command.begin(), "daxbench");
        parts.run.shard = request_.shard ? to_text(*request_.shard) : "";
        parts.run.executor = request_.executor;
        parts.run.resumed = record_.resumed;
        parts.run.merged = record_.merged;
        parts.seconds = record_.seconds;
        parts.interrupted = interrupted();
        parts.cells = all_documents();
        parts.environment = environment_document(host_, git_, world_ ? &*world_ : nullptr, parts.cells);
        if (world_)
            for (const auto &[id, dataset] : world_->datasets)
                parts.datasets.push_back(dataset);
        if (world_)
            for (const auto &[key, image] : world_->images)
                parts.images.push_back(image);
        auto results = compose(parts);
        table_ = publish(dir_, results, paths_, display_);
        return results;
    }

    const Catalogue &catalogue_;
    const RunRequest &request_;
    const Paths paths_;
    // Recorded before anything runs; after Ctrl-C no command could be asked any more.
    const HostEnvironment host_ = host_environment();
    const GitState git_ = git_state(paths_.source);
    const vector<Cell> cells_;
    Display display_;
    RunRecord record_;
    fs::path dir_;
    std::optional<RunLock> lock_;
    const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    const Progress progress_ = [this](const string &line) { display_.working(line); };
    std::optional<World> world_;
    string table_;
};

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

int dry_run(const Catalogue &catalogue, const RunRequest &request, const vector<Cell> &cells,
            std::ostream &out, std::ostream &err, std::size_t columns)
{
    if (request.native) {
        for (const auto &cell : cells)
            fmt::print(out, "{}\n", cell.id);
        fmt::print(out, "{} cells on this machine itself\n", cells.size());
        return 0;
    }
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

vector<Cell> cells_of_request(const Catalogue &catalogue, const RunRequest &request)
{
    auto cells = make_plan(catalogue, request.plan);
    if (!request.shard)
        return cells;
    cells = cells_of_shard(cells, *request.shard);
    if (cells.empty())
        throw std::runtime_error(fmt::format("expected cells in shard {}, there are none: use fewer shards",
                                             to_text(*request.shard)));
    return cells;
}

int run_suite(const Catalogue &catalogue, const RunRequest &request, std::ostream &out, std::ostream &err,
              std::size_t columns)
{
    auto cells = cells_of_request(catalogue, request);
    if (request.native && !running_as_root())
        throw std::runtime_error("expected root for --on host, which mounts filesystems on this machine");
    if (request.native && request.executor != "local")
        throw std::runtime_error("expected --executor local with --on host, it is about this machine");
    if (request.dry_run)
        return dry_run(catalogue, request, cells, out, err, columns);
    Run run(catalogue, request, std::move(cells), err, columns);
    const auto results = run.execute();
    out << run.table();
    print_paths(out, run.dir());
    return exit_status(results, !run.table().empty());
}

int run_portion(const Catalogue &catalogue, const RunRequest &request, const fs::path &run_dir,
                const fs::path &folder, const vector<string> &ids, std::ostream &err)
{
    const std::set<string> wanted(ids.begin(), ids.end());
    auto cells = cells_of_request(catalogue, request);
    std::erase_if(cells, [&](const Cell &cell) { return !wanted.contains(cell.id); });
    if (cells.size() != wanted.size())
        throw std::runtime_error(
            fmt::format("expected {} cells of the run, it has {} of them", wanted.size(), cells.size()));
    const auto paths = own_paths();
    const auto host = host_environment();
    const auto git = git_state(paths.source);
    Display display(err, 0);
    const Progress progress = [&](const string &line) { display.working(line); };
    auto world = std::any_of(cells.begin(), cells.end(), needs_guest)
                     ? make_base(paths, request.kernel, request.accel, catalogue, cells, false, progress)
                     : make_host_base(paths);
    add_needs(world, catalogue, cells, progress);
    CellRunner(world, catalogue, host, git, display, {folder, run_dir / "logs", 0, false})
        .run(portions_of(cells));
    return 0;
}

} // namespace daxbench
