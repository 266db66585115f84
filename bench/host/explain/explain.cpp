// SPDX-License-Identifier: Apache-2.0
#include "explain.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include <fmt/core.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include "cache.hpp"
#include "cell_input.hpp"
#include "display.hpp"
#include "driver.hpp"
#include "explanation.hpp"
#include "guest_host.hpp"
#include "results.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;

/// The plugin's marks are set by these.
bool can_be_marked(const json &workload)
{
    return workload.at("engine") == "benchmark" || workload.at("engine") == "program";
}

json chosen_workload(const Cell &cell, const string &id)
{
    std::vector<string> ids;
    for (const auto &workload : cell.workloads) {
        if (!can_be_marked(workload))
            continue;
        if (workload.at("id") == id)
            return workload;
        ids.push_back(workload.at("id"));
    }
    if (id.empty() && ids.size() == 1)
        return chosen_workload(cell, ids[0]);
    throw std::runtime_error(
        ids.empty()
            ? fmt::format("expected a cell with workloads of the engines benchmark or program, {} has none",
                          cell.id)
            : fmt::format("expected --workload, one of {}, got '{}'", fmt::join(ids, ", "), id));
}

/// Of a list that a workload declares, only WANTED, or its first.
void keep_one(json &workload, const char *key, const string &wanted)
{
    if (!workload.contains(key)) {
        if (!wanted.empty() && !(string(key) == "cache" && wanted == "warm"))
            throw std::runtime_error(fmt::format("expected no --{} for {}, which has one only, got '{}'",
                                                 string(key) == "cache" ? "cache" : "variant",
                                                 workload.at("id").get<string>(), wanted));
        return;
    }
    const auto list = workload.at(key).get<std::vector<string>>();
    if (!wanted.empty() && std::ranges::find(list, wanted) == list.end())
        throw std::runtime_error(fmt::format("expected one of {} of {}: {}, got '{}'", key,
                                             workload.at("id").get<string>(), fmt::join(list, ", "), wanted));
    workload[key] = {wanted.empty() ? list.front() : wanted};
}

Explained explained_row(const Cell &cell, const Trace &trace)
{
    const auto &result = trace.answers.at(0).at("results").at(0);
    const auto &marked = result.at("marked");
    Explained row;
    row.cell = cell.id;
    row.workload = cell.workloads.at(0).at("id");
    row.variant = result.value("variant", "");
    row.cache = result.value("cache", "");
    row.per = result.value("per", "");
    row.units = marked.at("units");
    row.clock = marked.at("ns");
    row.row = median(result.at("samples").get<std::vector<double>>());
    const auto &section = trace.sections.at(marked.at("section").get<std::size_t>());
    row.counts = count_routines(section, trace.routines);
    row.model = section.model;
    return row;
}

std::vector<Explained> trace_rows(const World &world, const Catalogue &catalogue,
                                  const std::vector<Cell> &cells, Display &display, const fs::path &logs)
{
    const auto host = make_guest_host(world, catalogue, display, {logs, false});
    std::vector<Explained> rows;
    for (const auto &cell : cells) {
        display.working(fmt::format("{}: counting every instruction", cell.id));
        CellResult result;
        rows.push_back(explained_row(cell, trace_cell(cell_input(world, catalogue, cell), *host, result)));
    }
    return rows;
}

} // namespace

std::vector<Cell> explained_cells(const Catalogue &catalogue, const ExplainRequest &request)
{
    if (request.cells.empty() || request.cells.size() > 2)
        throw std::runtime_error(fmt::format(
            "expected one cell or two, such as latency/rootfs/daxfs/n1, got {}", request.cells.size()));
    std::vector<Cell> cells;
    for (const auto &id : request.cells) {
        auto cell = find_cell(catalogue, id);
        auto workload = chosen_workload(cell, request.workload);
        keep_one(workload, "cache", request.cache);
        keep_one(workload, "variants", request.variant);
        workload["repetitions"] = 1;
        workload["each"] = false;
        cell.workloads = {workload};
        cell.driver = Driver::traced;
        cell.instances = 1;
        cell.model = request.model;
        cell.clock = ClockKind::instructions;
        cells.push_back(std::move(cell));
    }
    return cells;
}

int explain(const Catalogue &catalogue, const ExplainRequest &request, std::ostream &out, std::ostream &err,
            std::size_t columns)
{
    const auto cells = explained_cells(catalogue, request);
    Display display(err, columns);
    const Progress progress = [&](const string &line) { display.working(line); };
    const auto paths = own_paths();
    auto world = make_base(paths, request.kernel, "tcg", catalogue, cells, false, progress);
    add_needs(world, catalogue, cells, progress);
    for (const auto &cell : cells)
        if (const auto missing = why_not(world, catalogue, cell); !missing.empty())
            throw std::runtime_error(fmt::format("{}: {}", cell.id, missing));

    const auto dir = stamped_folder(request.results.empty() ? paths.source / "results" : request.results,
                                    "explain", std::chrono::system_clock::now());
    Explanation explanation;
    try {
        explanation = explain_rows(trace_rows(world, catalogue, cells, display, dir / "logs"));
    } catch (const Interrupted &) {
        remove_tree(dir);
        throw;
    }
    explanation.kernel = kernel_release(world, cells.front());
    write_file(dir / "explain.json", to_json(explanation).dump(1) + "\n");
    write_file(dir / "explain.md", render(explanation, "markdown", 0));
    display.clear();
    out << render(explanation, request.format, request.top);
    fmt::print(err, "{}\n", (dir / "explain.json").string());
    return 0;
}

} // namespace daxbench
