// SPDX-License-Identifier: Apache-2.0
#include "merge.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>

#include <fmt/core.h>

#include "inputs.hpp"
#include "publish.hpp"
#include "run_record.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;
using std::vector;

/// One of the runs that come together.
struct Part {
    fs::path dir;
    RunRecord record;
    RunRequest request;
    json results;
    int cells = 0; ///< taken from it
};

/// What must be equal, by name. Not --only and --shard: they say which part it is.
json plan_of(const RunRequest &request)
{
    return {{"suite", request.plan.suite},
            {"profile", request.plan.profile},
            {"filesystems", json(request.plan.filesystems).dump()},
            {"kernels", json(request.plan.kernels).dump()},
            {"seed", std::to_string(request.seed)}};
}

Part read_part(const fs::path &dir, const ReadRun &read)
{
    Part part;
    part.dir = dir;
    part.record = read_record(dir);
    part.request = read(dir).request;
    if (!fs::exists(dir / "results.json"))
        throw std::runtime_error(fmt::format(
            "expected a run with results.json, {} has none: end it by ./run-bench resume", dir.string()));
    part.results = json::parse(read_file(dir / "results.json"));
    return part;
}

void check_plans(const vector<Part> &parts)
{
    const auto plan = plan_of(parts.front().request);
    for (const auto &part : parts)
        if (const auto differs = difference(plan, plan_of(part.request)); !differs.empty())
            throw std::runtime_error(fmt::format("expected runs of one plan, {} and {} differ in {}",
                                                 parts.front().dir.string(), part.dir.string(), differs));
}

/// The whole that they are parts of: what they have in common.
RunRequest whole_of(const vector<Part> &parts)
{
    auto request = parts.front().request;
    request.shard.reset();
    for (const auto &part : parts)
        if (part.request.plan.only != request.plan.only)
            request.plan.only.clear();
    return request;
}

/// The command of the whole, so that it can be resumed: the first part's, but for what made it a part.
vector<string> command_of(const Part &part, bool keep_only)
{
    vector<string> command;
    const auto &words = part.record.command;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto option = words[i].substr(0, words[i].find('='));
        if (option != "--shard" && (option != "--only" || keep_only))
            command.push_back(words[i]);
        else if (option == words[i])
            ++i; // and its value
    }
    return command;
}

/// Finished documents by cell id; each from one part.
class Gathered {
public:
    void add(Part &part, const vector<Cell> &cells)
    {
        for (const auto &cell : cells) {
            const auto found = read_cells(part.dir, {cell});
            if (found.empty() || found.front().at("status") != "ok")
                continue;
            if (const auto [at, added] = from_.emplace(cell.id, &part); !added)
                throw std::runtime_error(
                    fmt::format("expected {} in one run, {} and {} have measured it: leave "
                                "one of them out",
                                cell.id, at->second->dir.string(), part.dir.string()));
            if (found.front().at("cell") != to_json(cell))
                throw std::runtime_error(
                    fmt::format("expected {} of {} as it is declared now, it is another one", cell.id,
                                part.dir.string()));
            check_inputs(found.front(), part);
            ++part.cells;
        }
    }

    const Part *part_of(const string &cell) const
    {
        const auto found = from_.find(cell);
        return found == from_.end() ? nullptr : found->second;
    }

private:
    void check_inputs(const json &document, const Part &part)
    {
        const auto &inputs = document.at("inputs");
        if (const auto differs = difference(inputs_, inputs); !differs.empty())
            throw std::runtime_error(fmt::format("expected runs measured with the same, {} differs in {}",
                                                 part.dir.string(), differs));
        inputs_.update(inputs);
    }

    std::map<string, const Part *> from_;
    json inputs_ = json::object();
};

/// The rows of all parts' `list`, each `key` once and in their order.
json rows_of(const vector<Part> &parts, const char *list, const vector<string> &key)
{
    std::map<vector<string>, json> rows;
    for (const auto &part : parts)
        for (const auto &row : part.results.at(list)) {
            vector<string> id;
            for (const auto &name : key)
                id.push_back(row.at(name).get<string>());
            auto &kept = rows[id];
            // An image was built in one of the runs, and found by the others.
            if (kept.is_null() || kept.value("build_seconds", json()).is_null())
                kept = row;
        }
    auto sorted = json::array();
    for (auto &[id, row] : rows)
        sorted.push_back(std::move(row));
    return sorted;
}

/// The cell's files into the new run; returns its document, or one that says that there is none.
json take_cell(const Cell &cell, const Part *part, const fs::path &dir)
{
    const auto name = file_name_of(cell.id);
    if (part == nullptr) {
        CellResult result;
        result.status = "failed";
        result.error = "it is in none of the merged runs: resume this one to measure it";
        return cell_document(cell, result, "");
    }
    const auto file = fs::path("cells") / (name + ".json");
    fs::copy_file(part->dir / file, dir / file);
    if (fs::exists(part->dir / "logs" / name))
        fs::copy(part->dir / "logs" / name, dir / "logs" / name, fs::copy_options::recursive);
    return read_cells(dir, {cell}).front();
}

json compose_whole(const RecordedRun &recorded, const RunRequest &request, const RunRecord &record,
                   const vector<Part> &parts, vector<json> documents)
{
    const auto &suite = recorded.catalogue.suites.at(record.suite);
    Composition whole;
    whole.catalogue = &recorded.catalogue;
    whole.limits = suite.limits;
    whole.run = {record.id,      suite.id,       suite.title,  request.plan.profile,
                 record.started, record.command, request.seed, suite.subject};
    whole.run.command.insert(whole.run.command.begin(), "daxbench");
    whole.run.executor = request.executor;
    whole.run.merged = record.merged;
    whole.seconds = record.seconds;
    vector<json> environments;
    for (const auto &part : parts)
        environments.push_back(part.results.at("environment"));
    whole.environment = merged_environment(environments, documents);
    whole.dataset_rows = rows_of(parts, "datasets", {"id"});
    whole.image_rows = rows_of(parts, "images", {"id", "dataset"});
    whole.cells = std::move(documents);
    return compose(whole);
}

} // namespace

int merge_runs(const vector<fs::path> &runs, const ReadRun &read, const fs::path &results, std::ostream &out,
               std::ostream &err, std::size_t columns)
{
    if (runs.size() < 2)
        throw std::runtime_error("expected two runs or more to merge: ./run-bench merge RUN RUN…");
    vector<Part> parts;
    for (const auto &dir : runs)
        parts.push_back(read_part(dir, read));
    check_plans(parts);
    const auto recorded = read(runs.front());
    const auto request = whole_of(parts);
    const auto cells = cells_of_request(recorded.catalogue, request);
    Gathered gathered;
    for (auto &part : parts)
        gathered.add(part, cells);

    Display display(err, columns);
    const auto paths = own_paths();
    RunRecord record = parts.front().record;
    record.resumed.clear();
    record.merged.clear();
    record.seconds = 0;
    record.command = command_of(parts.front(), request.plan.only == parts.front().request.plan.only);
    for (const auto &part : parts) {
        record.merged.push_back({part.record.id, part.cells});
        record.seconds += part.record.seconds;
        record.started = std::min(record.started, part.record.started);
    }
    const auto dir = make_run_dir(results.empty() ? paths.source / "results" : results, record.suite,
                                  std::chrono::system_clock::now());
    record.id = dir.filename().string();
    write_record(dir, record);
    vector<json> documents;
    for (const auto &cell : cells) {
        documents.push_back(take_cell(cell, gathered.part_of(cell.id), dir));
        if (gathered.part_of(cell.id) == nullptr)
            display.say(fmt::format("missing: {}", cell.id));
    }
    const auto whole = compose_whole(recorded, request, record, parts, std::move(documents));
    const auto table = publish(dir, whole, paths, display);
    out << table;
    print_paths(out, dir);
    return exit_status(whole, !table.empty());
}

} // namespace daxbench
