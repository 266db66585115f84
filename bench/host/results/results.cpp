// SPDX-License-Identifier: Apache-2.0
#include "results.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "cache.hpp"
#include "limits.hpp"
#include "process.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;
using std::vector;

constexpr const char *python = "/usr/bin/python3"; // Debian's, for which Debian's modules are

string utc(std::chrono::system_clock::time_point when, const char *format)
{
    return fmt::format(fmt::runtime(format), fmt::gmtime(std::chrono::system_clock::to_time_t(when)));
}

/// A cell as results.json lists it: its document without arguments, samples and raw answers.
json cell_row(const json &document)
{
    json row;
    for (const char *key : {"id", "experiment", "dataset", "filesystem", "instances", "kernels"})
        row[key] = document.at("cell").at(key);
    for (const char *key : {"status", "error", "reason", "seconds", "proof", "log"})
        if (document.contains(key))
            row[key] = document[key];
    return row;
}

/// One from the cache was built in another run: how long that took is not this run's to say.
json image_row(const Image &image)
{
    return {{"id", image.id},
            {"dataset", image.dataset},
            {"bytes", image.bytes},
            {"build_seconds", image.built ? json(image.build_seconds) : json()},
            {"xxh3", image.xxh3},
            {"tool_version", image.tool_version},
            {"command", image.declaration}};
}

json dataset_row(const Dataset &dataset)
{
    return {{"id", dataset.id},
            {"xxh3", dataset.hash},
            {"entries", dataset.entries},
            {"bytes", dataset.bytes},
            {"data_bytes", dataset.data_bytes},
            {"distinct_bytes", dataset.distinct_bytes},
            {"packages", dataset.packages}};
}

/// `image`: a row of images[].
Measurement image_measurement(const json &image, const string &metric, const string &unit, double value)
{
    Measurement row;
    row.experiment = image_experiment;
    row.workload = "build";
    row.dataset = image.at("dataset");
    row.filesystem = image.at("id");
    row.metric = metric;
    row.unit = unit;
    row.clock = unit == "seconds" ? "host-wall" : "none";
    row.samples = {value};
    return row;
}

string reason_of(const json &document)
{
    return document.value("error", document.value("reason", string("not measured")));
}

/// Measured, or of a filesystem that its declaration says this kernel has not: nothing is left to be done.
bool is_settled(const json &cell)
{
    return cell.at("status") == "ok" || cell.at("status") == "unsupported";
}

json errors_of(const vector<json> &cells)
{
    auto errors = json::array();
    for (const auto &cell : cells)
        if (!is_settled(cell))
            errors.push_back({{"cell", cell.at("cell").at("id")}, {"error", reason_of(cell)}});
    return errors;
}

string config_hash(const Kernel &kernel)
{
    return kernel.config.empty() ? "" : sha256_file(kernel.config);
}

/// The kernel of that release, else the first one.
Kernel kernel_facts(const World *world, const string &release)
{
    if (world == nullptr || world->kernels.empty())
        return {};
    for (const auto &[name, guest] : world->kernels)
        if (guest.kernel.release == release)
            return guest.kernel;
    return world->kernels.begin()->second.kernel;
}

/// All kernels of the run, by the names that cells know them by.
json kernel_rows(const World *world)
{
    auto rows = json::array();
    if (world == nullptr)
        return rows;
    for (const auto &[name, guest] : world->kernels)
        rows.push_back({{"name", name},
                        {"kernel", guest.kernel.release},
                        {"kernel_package", guest.kernel.package},
                        {"kernel_version", guest.kernel.version},
                        {"kernel_config_sha256", config_hash(guest.kernel)}});
    return rows;
}

json first_hello(const vector<json> &cells)
{
    for (const auto &cell : cells)
        if (cell.contains("hello") && cell["hello"].is_object())
            return cell["hello"];
    return json::object();
}

json guest_environment(const World *world, const vector<json> &cells)
{
    const auto hello = first_hello(cells);
    const auto kernel = kernel_facts(world, hello.value("kernel", ""));
    return {{"kernel", hello.value("kernel", kernel.release)},
            {"kernel_package", kernel.package},
            {"kernel_version", kernel.version},
            {"kernel_config_sha256", config_hash(kernel)},
            {"kernels", kernel_rows(world)},
            {"cmdline", hello.value("cmdline", "")},
            {"cpu_model", hello.value("cpu_model", "")},
            {"clocksource", hello.value("clocksource", "")}};
}

json example_command(const vector<json> &cells)
{
    for (const auto &cell : cells)
        if (cell.contains("qemu") && !cell["qemu"].empty())
            return cell["qemu"];
    return json::array();
}

json tool_versions(const World *world)
{
    auto tools = json::object();
    if (world == nullptr)
        return tools;
    for (const auto &[id, tool] : world->image_tools)
        tools["image " + id] = tool.version;
    for (const auto &[key, image] : world->images)
        tools["image " + image.id] = image.tool_version;
    if (world->tools)
        for (const auto &[tool, version] : world->tools->versions)
            tools[tool] = version;
    return tools;
}

json module_documents(const World *world)
{
    auto modules = json::object();
    if (world == nullptr)
        return modules;
    for (const auto &[kernel, guest] : world->kernels)
        for (const auto &[name, path] : guest.external_modules)
            modules[kernel.empty() ? name : name + " " + kernel] = {
                {"path", fs::relative(path, world->paths.build).string()}, {"sha256", sha256_file(path)}};
    return modules;
}

/// Of the guests; the host's where there were none.
const char *clock_of(const World *world)
{
    const auto accel = world != nullptr ? world->accel.name : "";
    return accel == "kvm" || accel == "host" ? "ns" : accel == "none" ? "host-wall" : "instructions";
}

string status_of(const Composition &parts)
{
    if (parts.interrupted)
        return "interrupted";
    const bool complete = std::all_of(parts.cells.begin(), parts.cells.end(), is_settled);
    return complete ? "complete" : "partial";
}

json run_row(const Composition &parts)
{
    const auto &run = parts.run;
    json row = {{"id", run.id},
                {"suite", run.suite},
                {"title", run.title},
                {"profile", run.profile},
                {"status", status_of(parts)},
                {"started", run.started},
                {"finished", iso_time(std::chrono::system_clock::now())},
                {"seconds", parts.seconds},
                {"seed", run.seed},
                {"subject", run.subject},
                {"executor", run.executor},
                {"resumed", json::array()},
                {"merged", json::array()}};
    if (!run.shard.empty())
        row["shard"] = run.shard;
    for (const auto &one : run.resumed)
        row["resumed"].push_back({{"at", one.at}, {"kept", one.kept}});
    for (const auto &one : run.merged)
        row["merged"].push_back({{"id", one.id}, {"cells", one.cells}});
    return row;
}

/// The entries of `known` that some row of `rows` names under `key`, as `describe` writes them.
template <typename Spec, typename Describe>
json described(const std::map<string, Spec> &known, const json &rows, const char *key, Describe describe)
{
    std::set<string> used;
    for (const auto &row : rows)
        used.insert(row.at(key).get<string>());
    auto list = json::array();
    for (const auto &[id, spec] : known)
        if (used.contains(id)) {
            json entry = describe(spec);
            entry["id"] = id;
            list.push_back(std::move(entry));
        }
    return list;
}

json metric_row(const MetricSpec &spec)
{
    return {{"label", spec.label}, {"better", spec.better}, {"margin", spec.margin}};
}

json experiment_row(const ExperimentSpec &spec)
{
    return {{"title", spec.title}, {"table", spec.table}};
}

json filesystem_row(const FilesystemSpec &spec)
{
    return {{"label", spec.label},
            {"variant_of", spec.variant_of},
            {"image", spec.image},
            {"medium", spec.medium}};
}

/// A metric without a declaration would be shown without being judged: that is an error of its own.
void add_undeclared_metrics(json &errors, const json &measurements, const Catalogue &catalogue)
{
    std::set<string> undeclared;
    for (const auto &row : measurements)
        if (const auto metric = row.at("metric").get<string>(); !catalogue.metrics.contains(metric))
            undeclared.insert(metric);
    for (const auto &metric : undeclared)
        errors.push_back(
            {{"cell", ""},
             {"error", fmt::format("expected the metric {} in workloads/metrics.toml, it is not there: its "
                                   "rows are shown, not judged",
                                   metric)}});
}

} // namespace

string iso_time(std::chrono::system_clock::time_point when)
{
    return utc(when, "{:%Y-%m-%dT%H:%M:%SZ}");
}

string stamp(std::chrono::system_clock::time_point when)
{
    return utc(when, "{:%Y%m%d-%H%M%S}");
}

fs::path stamped_folder(const fs::path &root, const string &name, std::chrono::system_clock::time_point when)
{
    fs::create_directories(root);
    for (;; when += std::chrono::seconds(1))
        if (const auto dir = fs::absolute(root) / (stamp(when) + "-" + name); fs::create_directory(dir))
            return dir;
}

json cell_document(const Cell &cell, const CellResult &result, const string &log)
{
    json document = {{"schema_version", 1},
                     {"cell", to_json(cell)},
                     {"status", result.status},
                     {"seconds", result.seconds},
                     {"log", log},
                     {"hello", result.hello},
                     {"qemu", result.qemu},
                     {"measurements", json::array()},
                     {"raw", result.raw}};
    if (!result.error.empty())
        document[result.status == "skipped" || result.status == "unsupported" ? "reason" : "error"] =
            result.error;
    if (result.proof.is_object())
        document["proof"] = result.proof;
    for (const auto &row : result.measurements)
        document["measurements"].push_back(to_json(row));
    return document;
}

json environment_document(const HostEnvironment &host, const GitState &git, const World *world,
                          const vector<json> &cells)
{
    const auto modules = module_documents(world);
    return {
        {"host",
         {{"os", host.os},
          {"cpu", host.cpu},
          {"cores", host.cores},
          {"memory_bytes", host.memory_bytes},
          {"kernel", host.kernel}}},
        {"qemu", {{"version", host.qemu_version}, {"machine", "q35"}, {"command", example_command(cells)}}},
        {"guest", guest_environment(world, cells)},
        {"accelerator", world != nullptr ? world->accel.name : ""},
        {"accelerator_reason", world != nullptr ? world->accel.reason : ""},
        {"clock", clock_of(world)},
        {"module", modules.empty() ? json() : *modules.begin()},
        {"external_modules", modules},
        {"git", {{"commit", git.commit}, {"dirty", git.dirty}}},
        {"tools", tool_versions(world)}};
}

json merged_environment(const vector<json> &environments, const vector<json> &cells)
{
    auto merged = environments.front();
    for (const auto &other : environments) {
        merged["external_modules"].update(other.at("external_modules"));
        merged["tools"].update(other.at("tools"));
        auto &kernels = merged["guest"]["kernels"];
        for (const auto &kernel : other.at("guest").at("kernels"))
            if (std::find(kernels.begin(), kernels.end(), kernel) == kernels.end())
                kernels.push_back(kernel);
    }
    std::sort(merged["guest"]["kernels"].begin(), merged["guest"]["kernels"].end());
    const auto &modules = merged["external_modules"];
    merged["module"] = modules.empty() ? json() : *modules.begin();
    merged["qemu"]["command"] = example_command(cells);
    // As one run says it: of the first cell's guest.
    const auto hello = first_hello(cells);
    for (const char *key : {"kernel", "cmdline", "cpu_model", "clocksource"})
        merged["guest"][key] = hello.value(key, "");
    for (const auto &kernel : merged["guest"]["kernels"])
        if (kernel.at("kernel") == hello.value("kernel", ""))
            for (const char *key : {"kernel_package", "kernel_version", "kernel_config_sha256"})
                merged["guest"][key] = kernel.at(key);
    return merged;
}

json compose(const Composition &parts)
{
    auto images = parts.image_rows;
    for (const auto &image : parts.images)
        images.push_back(image_row(image));
    auto measurements = json::array();
    for (const auto &image : images) {
        measurements.push_back(to_json(image_measurement(image, "image_bytes", "bytes", image.at("bytes"))));
        if (const auto &seconds = image.at("build_seconds"); !seconds.is_null())
            measurements.push_back(to_json(image_measurement(image, "build_seconds", "seconds", seconds)));
    }
    auto datasets = parts.dataset_rows;
    for (const auto &dataset : parts.datasets)
        datasets.push_back(dataset_row(dataset));
    auto cells = json::array();
    for (const auto &document : parts.cells) {
        cells.push_back(cell_row(document));
        for (const auto &row : document.at("measurements"))
            measurements.push_back(row);
    }
    const auto &run = parts.run;
    const auto &catalogue = *parts.catalogue;
    auto errors = errors_of(parts.cells);
    add_undeclared_metrics(errors, measurements, catalogue);
    return {{"schema_version", 2},
            {"run", run_row(parts)},
            {"command", run.command},
            {"environment", parts.environment},
            {"experiments", described(catalogue.experiments, cells, "experiment", experiment_row)},
            {"filesystems", described(catalogue.filesystems, cells, "filesystem", filesystem_row)},
            {"metrics", described(catalogue.metrics, measurements, "metric", metric_row)},
            {"datasets", datasets},
            {"images", images},
            {"cells", cells},
            {"measurements", measurements},
            {"limits", judge_limits(parts.limits, measurements)},
            {"errors", errors}};
}

vector<json> read_cells(const fs::path &run_dir, const vector<Cell> &cells)
{
    vector<json> documents;
    for (const auto &cell : cells) {
        const auto path = run_dir / "cells" / (file_name_of(cell.id) + ".json");
        if (fs::exists(path))
            documents.push_back(json::parse(read_file(path)));
    }
    return documents;
}

void write_results(const fs::path &run_dir, const json &results, const Paths &paths)
{
    const auto aside = run_dir / "results.json.new";
    write_file(aside, results.dump(1) + "\n");
    if (!interrupted()) {
        const auto check = run_command({python, (paths.source / "analysis/validate.py").string(),
                                        aside.string(), (paths.source / "results/schema.json").string()});
        if (!check.ok())
            throw std::runtime_error(
                fmt::format("expected results that results/schema.json allows; {} is left there, and: {}{}",
                            aside.string(), check.out.substr(0, check.out.find('\n')), check.err));
    }
    fs::rename(aside, run_dir / "results.json");
}

void point_latest_at(const fs::path &run_dir)
{
    const auto aside = run_dir.parent_path() / fmt::format(".latest.{}", getpid());
    fs::remove(aside);
    fs::create_directory_symlink(run_dir.filename(), aside);
    fs::rename(aside, run_dir.parent_path() / "latest");
}

} // namespace daxbench
