// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <stdexcept>

#include <fmt/core.h>

#include "join.hpp"
#include "known_ids.hpp"
#include "read_spec.hpp"
#include "spec.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;
using std::vector;

vector<fs::path> toml_files(const fs::path &folder)
{
    if (!fs::is_directory(folder))
        throw std::runtime_error(fmt::format(
            "{}: expected a folder of .toml files, there is none; check --workloads", folder.string()));
    vector<fs::path> files;
    for (const auto &entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".toml")
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

/// By folder: files that are read as if they lay in it.
using With = std::map<string, vector<fs::path>>;

/// The folder of workloads/ that a file would lie in.
string folder_of(const fs::path &file)
{
    static const std::pair<const char *, const char *> told_by[] = {
        {"workload", "workloads"}, {"medium", "filesystems"}, {"command", "images"},
        {"kind", "datasets"},      {"driver", "experiments"}, {"experiments", "suites"}};
    const auto table = parse_toml(file);
    for (const auto &[key, folder] : told_by)
        if (table.contains(key))
            return folder;
    throw std::runtime_error(fmt::format(
        "{}: expected a filesystem (it has the key medium), an image (command), a dataset (kind), workloads "
        "([[workload]]), an experiment (driver) or a suite (experiments), got none of these keys",
        file.string()));
}

vector<fs::path> files_of(const fs::path &folder, const With &with)
{
    auto files = toml_files(folder);
    if (const auto more = with.find(folder.filename().string()); more != with.end())
        files.insert(files.end(), more->second.begin(), more->second.end());
    return files;
}

/// Reads every file of a folder, one spec each, and hands (spec, reader) on for reference checks.
template <typename Spec, typename Read, typename Check>
std::map<string, Spec> read_folder(const fs::path &folder, const With &with, Read read, Check check)
{
    std::map<string, Spec> specs;
    std::map<string, toml::table> tables;
    const auto &declared = declared_file(folder.filename().string());
    for (const auto &file : files_of(folder, with)) {
        const auto table = parse_toml(file);
        TomlReader reader(file, table, "", &declared);
        auto spec = read(reader);
        reader.finish();
        check(spec, reader);
        const auto id = spec.id;
        const auto [same, is_new] = tables.emplace(id, table);
        // What is declared already may be named by --with: it then joins experiments that do not name it.
        const bool joins = file.parent_path() != folder && same->second == table;
        if (!is_new && !joins)
            reader.fail("id", "an id that no other file of the folder has");
        specs.emplace(id, std::move(spec));
    }
    return specs;
}

std::map<string, WorkloadSpec> read_workloads(const fs::path &folder, const With &with)
{
    std::map<string, WorkloadSpec> specs;
    for (const auto &file : files_of(folder, with)) {
        const auto table = parse_toml(file);
        TomlReader whole(file, table);
        const auto *list = table.get_as<toml::array>("workload");
        if (list == nullptr || table.size() != 1)
            whole.fail("workload", "nothing but [[workload]] tables");
        for (const auto &node : *list) {
            if (!node.is_table())
                whole.fail("workload", "nothing but [[workload]] tables");
            TomlReader reader(file, *node.as_table(), "workload.");
            auto spec = read_workload(reader);
            const auto id = spec.id;
            if (!specs.emplace(id, std::move(spec)).second)
                reader.fail("id", "an id that no other workload has");
        }
    }
    return specs;
}

/// Images are built on the host, everything else runs in guests.
void check_engines(const ExperimentSpec &spec, const TomlReader &reader, const Catalogue &catalogue)
{
    const bool builds = spec.driver == Driver::build;
    auto ids = spec.workloads;
    for (const auto &[dataset, more] : spec.dataset_workloads)
        ids.insert(ids.end(), more.begin(), more.end());
    for (const auto &id : ids) {
        const auto found = catalogue.workloads.find(id);
        if (found != catalogue.workloads.end() && (found->second.arguments.at("engine") == "build") != builds)
            reader.fail("workloads", "workloads of the engine build with driver = \"build\", of the "
                                     "others with the other drivers");
    }
}

void check_variants(const fs::path &folder, const std::map<string, FilesystemSpec> &filesystems)
{
    for (const auto &[id, spec] : filesystems)
        if (!spec.variant_of.empty() && !filesystems.contains(spec.variant_of))
            throw std::runtime_error(fmt::format("{}: filesystem {}: expected variant_of to name one that is "
                                                 "declared, got {}",
                                                 folder.string(), id, spec.variant_of));
}

void check_experiment(const ExperimentSpec &spec, const TomlReader &reader, const Catalogue &catalogue)
{
    check_known(reader, "datasets", spec.datasets, catalogue.datasets, "datasets");
    if (!spec.other_dataset.empty())
        check_known(reader, "other_dataset", {spec.other_dataset}, catalogue.datasets, "datasets");
    const bool builds = spec.driver == Driver::build;
    if (builds)
        check_known(reader, "images", spec.filesystems, catalogue.images, "images");
    else
        check_known(reader, "filesystems", spec.filesystems, catalogue.filesystems, "filesystems");
    check_known(reader, "workloads", spec.workloads, catalogue.workloads, "workloads");
    if (spec.tools) {
        check_known(reader, "tools", {spec.tools->dataset}, catalogue.datasets, "datasets");
        check_known(reader, "tools", {spec.tools->image}, catalogue.images, "images");
    }
    check_known(reader, "table", spec.table, catalogue.metrics, "metrics.toml");
    check_engines(spec, reader, catalogue);
    for (const auto &[dataset, workloads] : spec.dataset_workloads) {
        check_known(reader, "dataset_workloads", {dataset}, catalogue.datasets, "datasets");
        check_known(reader, "dataset_workloads", workloads, catalogue.workloads, "workloads");
    }
}

void check_suite(const SuiteSpec &spec, const TomlReader &reader, const Catalogue &catalogue)
{
    const vector<string> none;
    check_known(reader, "experiments", spec.experiments, catalogue.experiments, "experiments");
    if (!spec.subject.empty())
        check_known(reader, "subject", {spec.subject}, catalogue.filesystems, "filesystems");
    for (const auto &[name, profile] : spec.profiles) {
        check_known(reader, "profile", profile.experiments.value_or(none), catalogue.experiments,
                    "experiments");
        check_known(reader, "profile", profile.datasets.value_or(none), catalogue.datasets, "datasets");
        check_known(reader, "profile", profile.filesystems.value_or(none), catalogue.filesystems,
                    "filesystems");
        check_known(reader, "profile", profile.workloads.value_or(none), catalogue.workloads, "workloads");
    }
}

Catalogue read_catalogue(const fs::path &root, const With &with)
{
    const auto unchecked = [](const auto &, const TomlReader &) {};
    Catalogue all;
    all.root = root;
    all.metrics = read_metrics(root / "metrics.toml");
    all.images = read_folder<ImageSpec>(root / "images", with, read_image, unchecked);
    all.datasets = read_folder<DatasetSpec>(
        root / "datasets", with, [&](TomlReader &reader) { return read_dataset(reader, root); }, unchecked);
    all.filesystems =
        read_folder<FilesystemSpec>(root / "filesystems", with, read_filesystem,
                                    [&](const FilesystemSpec &spec, const TomlReader &reader) {
                                        if (!spec.mounts())
                                            return;
                                        check_known(reader, spec.image.empty() ? "seed" : "image",
                                                    {spec.needed_image()}, all.images, "images");
                                    });
    check_variants(root / "filesystems", all.filesystems);
    all.workloads = read_workloads(root / "workloads", with);
    all.experiments = read_folder<ExperimentSpec>(
        root / "experiments", with, read_experiment,
        [&](const ExperimentSpec &spec, const TomlReader &reader) { check_experiment(spec, reader, all); });
    all.suites = read_folder<SuiteSpec>(
        root / "suites", with, [&](TomlReader &reader) { return read_suite(reader, all); },
        [&](const SuiteSpec &spec, const TomlReader &reader) { check_suite(spec, reader, all); });
    return all;
}

} // namespace

Catalogue load_catalogue(const fs::path &root, const vector<fs::path> &with)
{
    if (with.empty())
        return read_catalogue(root, {});
    With by_folder;
    for (const auto &file : with)
        by_folder[folder_of(file)].push_back(file);
    auto all = read_catalogue(root, by_folder);
    auto before = read_catalogue(root, {});
    for (const auto &file : by_folder["filesystems"]) // joins, whether declared before or not
        before.filesystems.erase(parse_toml(file)["id"].value_or(string()));
    join_experiments(all, before);
    return all;
}

} // namespace daxbench
