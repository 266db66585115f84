// SPDX-License-Identifier: Apache-2.0
#include "plan.hpp"

#include <algorithm>
#include <stdexcept>

#include <fnmatch.h>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cache.hpp"

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;
using std::vector;

template <typename Map> vector<string> ids_of(const Map &map)
{
    vector<string> ids;
    for (const auto &[id, unused] : map)
        ids.push_back(id);
    return ids;
}

template <typename Map>
const typename Map::mapped_type &find(const Map &map, const string &id, const char *what)
{
    const auto found = map.find(id);
    if (found == map.end())
        throw std::runtime_error(
            fmt::format("expected a {}, got \"{}\"; there are: {}", what, id, fmt::join(ids_of(map), ", ")));
    return found->second;
}

bool allowed(const vector<string> &list, const string &id)
{
    return std::find(list.begin(), list.end(), id) != list.end();
}

bool allowed(const std::optional<vector<string>> &list, const string &id)
{
    return !list || allowed(*list, id);
}

/// The workload as the agent gets it: profile overrides applied, files it names read in.
json resolve_workload(const Catalogue &catalogue, const string &id, const ProfileSpec &profile)
{
    auto workload = catalogue.workloads.at(id).arguments;
    if (profile.repetitions)
        workload["repetitions"] = *profile.repetitions;
    if (profile.limit && workload.contains("limit"))
        workload["limit"] = std::min<std::int64_t>(*profile.limit, workload["limit"]);
    if (workload.contains("job"))
        workload["job_text"] = read_file(catalogue.root / workload["job"].get<string>());
    return workload;
}

vector<json> resolve_workloads(const Catalogue &catalogue, const ExperimentSpec &experiment,
                               const string &dataset, const ProfileSpec &profile)
{
    const auto own = experiment.dataset_workloads.find(dataset);
    const auto &ids = own != experiment.dataset_workloads.end() ? own->second : experiment.workloads;
    vector<json> workloads;
    for (const auto &id : ids)
        if (allowed(profile.workloads, id))
            workloads.push_back(resolve_workload(catalogue, id, profile));
    return workloads;
}

vector<int> instances_of(const ExperimentSpec &experiment, const ProfileSpec &profile)
{
    if (experiment.driver != Driver::instances && experiment.driver != Driver::hostile)
        return {1};
    if (!profile.instances)
        return experiment.instances;
    vector<int> kept;
    for (const int count : experiment.instances)
        if (std::find(profile.instances->begin(), profile.instances->end(), count) !=
            profile.instances->end())
            kept.push_back(count);
    return kept;
}

/// One entry for each kernel that the experiment's cells are measured on; "" for the run's own.
vector<string> kernel_axis(const SuiteSpec &suite, const ExperimentSpec &experiment,
                           const ProfileSpec &profile, const PlanRequest &request)
{
    if (experiment.driver == Driver::build || !experiment.mixed_kernels.empty())
        return {""};
    if (!request.kernels.empty())
        return request.kernels;
    auto kernels = experiment.kernels.empty() ? suite.kernels : experiment.kernels;
    if (kernels.empty())
        return profile.kernels.value_or(vector<string>{""});
    std::erase_if(kernels, [&](const string &kernel) { return !allowed(profile.kernels, kernel); });
    return kernels;
}

/// How often guests are booted for samples; where one guest runs, its workloads repeat themselves.
int boots_of(const ExperimentSpec &experiment, const ProfileSpec &profile)
{
    return experiment.driver == Driver::instances ? profile.boots.value_or(1) : 1;
}

Cell make_cell(const ExperimentSpec &experiment, const string &dataset, const string &filesystem,
               int instances, const string &kernel)
{
    Cell cell;
    cell.id = fmt::format("{}/{}/{}/n{}", experiment.id, dataset, filesystem, instances);
    if (!kernel.empty()) {
        cell.id += "/" + kernel;
        cell.kernels = {kernel};
    }
    if (!experiment.mixed_kernels.empty())
        cell.kernels = experiment.mixed_kernels;
    cell.experiment = experiment.id;
    cell.dataset = dataset;
    cell.filesystem = filesystem;
    cell.instances = instances;
    cell.driver = experiment.driver;
    cell.clock = experiment.clock;
    cell.other_dataset = experiment.other_dataset;
    cell.memory_mib = experiment.memory_mib;
    cell.cpus = experiment.cpus;
    cell.emulated_cpus = experiment.emulated_cpus;
    cell.tools = experiment.tools;
    cell.timeout_s = experiment.timeout_s;
    return cell;
}

/// The declared estimate is for every workload with three repetitions; the boot costs some
/// seconds whatever runs.
double cell_estimate(const ExperimentSpec &experiment, const ProfileSpec &profile, int instances)
{
    constexpr double boot_s = 5;
    const double boot = experiment.driver == Driver::build ? 0 : boot_s;
    const double repetitions = profile.repetitions.value_or(3);
    const double work = experiment.estimate_s * (1 + repetitions) / 4;
    return (boot + work) * instances * boots_of(experiment, profile);
}

/// Was it asked for? --only knows cells by their ids.
bool wanted(const Cell &cell, const ProfileSpec &profile, const PlanRequest &request)
{
    const bool asked = request.filesystems.empty() || allowed(request.filesystems, cell.filesystem);
    return asked && allowed(profile.filesystems, cell.filesystem) &&
           (request.only.empty() || fnmatch(request.only.c_str(), cell.id.c_str(), 0) == 0);
}

vector<Cell> cells_of(const Catalogue &catalogue, const SuiteSpec &suite, const ExperimentSpec &experiment,
                      const ProfileSpec &profile, const PlanRequest &request)
{
    const auto kernels = kernel_axis(suite, experiment, profile, request);
    vector<Cell> cells;
    for (const auto &dataset : experiment.datasets) {
        if (!allowed(profile.datasets, dataset))
            continue;
        const auto workloads = resolve_workloads(catalogue, experiment, dataset, profile);
        if (workloads.empty())
            continue;
        for (const int instances : instances_of(experiment, profile))
            for (const auto &filesystem : experiment.filesystems)
                for (const auto &kernel : kernels) {
                    auto cell = make_cell(experiment, dataset, filesystem, instances, kernel);
                    if (!wanted(cell, profile, request))
                        continue;
                    cell.workloads = workloads;
                    cell.boots = boots_of(experiment, profile);
                    cell.estimate_s = cell_estimate(experiment, profile, instances);
                    cells.push_back(std::move(cell));
                }
    }
    return cells;
}

/// What belongs to every run with guests, on each of its kernels; of the profile only how often it is
/// repeated counts.
void append_every_run(vector<Cell> &cells, const Catalogue &catalogue, const SuiteSpec &suite,
                      const ProfileSpec &profile, const PlanRequest &request)
{
    PlanRequest everywhere;
    everywhere.only = request.only;
    bool own = false; // the run's own kernel is among them
    for (const auto &cell : cells) {
        own = own || (cell.driver != Driver::build && cell.kernels.empty());
        for (const auto &kernel : cell.kernels)
            if (!allowed(everywhere.kernels, kernel))
                everywhere.kernels.push_back(kernel);
    }
    if (own)
        everywhere.kernels.insert(everywhere.kernels.begin(), "");
    const bool in_guests = std::ranges::any_of(suite.experiments, [&](const string &id) {
        return catalogue.experiments.at(id).driver != Driver::build;
    });
    if (!in_guests || (everywhere.kernels.empty() && request.only.empty()))
        return;
    ProfileSpec all;
    all.repetitions = profile.repetitions;
    for (const auto &[id, experiment] : catalogue.experiments) {
        const bool there =
            std::ranges::any_of(cells, [&id = id](const Cell &cell) { return cell.experiment == id; });
        if (!experiment.every_run || there)
            continue;
        auto more = cells_of(catalogue, suite, experiment, all, everywhere);
        std::move(more.begin(), more.end(), std::back_inserter(cells));
    }
}

} // namespace

vector<Cell> make_plan(const Catalogue &catalogue, const PlanRequest &request)
{
    const auto &suite = find(catalogue.suites, request.suite, "suite");
    const auto &profile = find(suite.profiles, request.profile, "profile");
    for (const auto &id : request.filesystems)
        if (!catalogue.images.contains(id)) // what an experiment with driver = "build" compares
            find(catalogue.filesystems, id, "filesystem");

    for (const auto &name : request.kernels)
        if (!is_kernel_name(name))
            throw std::runtime_error(fmt::format(
                "expected --kernels with series such as 6.1, 7.3-debug or 7.3+PATCHES, got {}", name));

    vector<Cell> cells;
    for (const auto &id : suite.experiments) {
        if (!allowed(profile.experiments, id))
            continue;
        auto more = cells_of(catalogue, suite, catalogue.experiments.at(id), profile, request);
        std::move(more.begin(), more.end(), std::back_inserter(cells));
    }
    append_every_run(cells, catalogue, suite, profile, request);
    if (cells.empty())
        throw std::runtime_error(
            fmt::format("expected cells to run, but nothing of profile {} matches --only \"{}\" and "
                        "--filesystems \"{}\"; see --dry-run without them",
                        request.profile, request.only, fmt::join(request.filesystems, ",")));
    return cells;
}

Cell find_cell(const Catalogue &catalogue, const string &id)
{
    const auto &experiment = find(catalogue.experiments, id.substr(0, id.find('/')), "cell of an experiment");
    auto cells = cells_of(catalogue, SuiteSpec{}, experiment, {}, {});
    const auto found = std::ranges::find(cells, id, &Cell::id);
    if (found != cells.end())
        return *found;
    vector<string> ids;
    for (const auto &cell : cells)
        ids.push_back(cell.id);
    throw std::runtime_error(
        fmt::format("expected a cell, got \"{}\"; there are: {}", id, fmt::join(ids, ", ")));
}

double estimate_seconds(const vector<Cell> &cells, unsigned jobs)
{
    double sum = 0;
    for (const auto &cell : cells)
        sum += cell.estimate_s;
    return sum / std::max(1U, jobs);
}

json to_json(const Cell &cell)
{
    return {{"id", cell.id},
            {"experiment", cell.experiment},
            {"dataset", cell.dataset},
            {"filesystem", cell.filesystem},
            {"instances", cell.instances},
            {"kernels", cell.kernels},
            {"boots", cell.boots},
            {"driver", name_of(cell.driver)},
            {"clock", name_of(cell.clock)},
            {"memory_mib", cell.memory_mib},
            {"cpus", cell.cpus},
            {"emulated_cpus", cell.emulated_cpus},
            {"timeout_s", cell.timeout_s},
            {"workloads", cell.workloads}};
}

string file_name_of(const string &cell_id)
{
    auto name = cell_id;
    std::replace(name.begin(), name.end(), '/', '_');
    return name;
}

} // namespace daxbench
