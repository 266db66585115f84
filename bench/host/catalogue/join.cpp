// SPDX-License-Identifier: Apache-2.0
#include "join.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <fmt/core.h>

namespace daxbench {
namespace {

using std::string;
using std::vector;

/// Ids that only `all` has.
template <typename Spec>
vector<string> added(const std::map<string, Spec> &all, const std::map<string, Spec> &before)
{
    vector<string> ids;
    for (const auto &[id, spec] : all)
        if (!before.contains(id))
            ids.push_back(id);
    return ids;
}

void append(vector<string> &ids, const vector<string> &more)
{
    for (const auto &id : more)
        if (std::find(ids.begin(), ids.end(), id) == ids.end())
            ids.push_back(id);
}

/// Does it read what it finds, and name no file of a tree of its own?
bool takes_any_tree(const WorkloadSpec &workload)
{
    static const std::set<string> engines{"benchmark", "read-all", "map-rss", "build"};
    static const std::set<string> files{"large", "small", "all"};
    return engines.contains(workload.arguments.at("engine").get<string>()) &&
           files.contains(workload.arguments.value("file", string("all")));
}

/// With those of the experiment's workloads that take any tree; without one, not at all.
void join_dataset(ExperimentSpec &experiment, const string &dataset, const Catalogue &catalogue)
{
    vector<string> workloads;
    for (const auto &id : experiment.workloads)
        if (takes_any_tree(catalogue.workloads.at(id)))
            workloads.push_back(id);
    if (workloads.empty())
        return;
    append(experiment.datasets, {dataset});
    if (workloads != experiment.workloads)
        experiment.dataset_workloads[dataset] = workloads;
}

void join_workload(ExperimentSpec &experiment, const string &id, const Catalogue &catalogue)
{
    const auto engine_of = [&](const string &workload) {
        return catalogue.workloads.at(workload).arguments.at("engine");
    };
    if (std::ranges::none_of(experiment.workloads,
                             [&](const string &other) { return engine_of(other) == engine_of(id); }))
        return;
    append(experiment.workloads, {id});
    for (auto &[dataset, workloads] : experiment.dataset_workloads)
        append(workloads, {id});
}

} // namespace

void join_experiments(Catalogue &all, const Catalogue &before)
{
    const auto filesystems = added(all.filesystems, before.filesystems);
    const auto images = added(all.images, before.images);
    const auto datasets = added(all.datasets, before.datasets);
    const auto workloads = added(all.workloads, before.workloads);
    for (auto &[id, experiment] : all.experiments) {
        if (!before.experiments.contains(id) || experiment.every_run)
            continue;
        append(experiment.filesystems, experiment.driver == Driver::build ? images : filesystems);
        for (const auto &dataset : datasets)
            join_dataset(experiment, dataset, all);
        for (const auto &workload : workloads)
            join_workload(experiment, workload, all);
    }
    const auto keep = [](std::optional<vector<string>> &kept, const vector<string> &more) {
        if (kept)
            append(*kept, more);
    };
    for (auto &[id, suite] : all.suites)
        for (auto &[name, profile] : suite.profiles) {
            keep(profile.filesystems, filesystems);
            keep(profile.datasets, datasets);
            keep(profile.workloads, workloads);
        }
}

void use_only(Catalogue &catalogue, const DatasetSpec &dataset)
{
    if (!catalogue.datasets.emplace(dataset.id, dataset).second)
        throw std::runtime_error(
            fmt::format("expected a dataset of another name than {}, which is declared", dataset.id));
    for (auto &[id, experiment] : catalogue.experiments) {
        if (experiment.every_run)
            continue;
        experiment.datasets.clear();
        join_dataset(experiment, dataset.id, catalogue);
    }
    for (auto &[id, suite] : catalogue.suites) {
        for (auto &[name, profile] : suite.profiles)
            if (profile.datasets)
                profile.datasets = {dataset.id};
        suite.limits.clear(); // they are of the declared datasets
    }
}

} // namespace daxbench
