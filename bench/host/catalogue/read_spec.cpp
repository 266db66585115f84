// SPDX-License-Identifier: Apache-2.0
#include "read_spec.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "known_ids.hpp"
#include "media.hpp"
#include "workload.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using std::string;
using std::vector;

namespace {

constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();

string read_id(TomlReader &reader)
{
    auto id = reader.text("id");
    const bool plain = !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!plain)
        reader.fail("id", "lower case letters, digits and dashes (it becomes part of paths)");
    return id;
}

/// `directories = { "100" = 1900 }`: 1900 directories of 100 files each.
vector<DirectoriesSpec> read_directories(TomlReader &reader)
{
    vector<DirectoriesSpec> all;
    auto table = reader.table("directories");
    for (const auto &key : table.keys()) {
        const bool number =
            !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == string::npos;
        if (!number)
            table.fail(key, "a number of files as the key, a number of such directories as its value");
        all.push_back({static_cast<std::uint64_t>(table.number(key, 1, huge)), std::stoull(key)});
    }
    table.finish();
    return all;
}

/// Each key as its declaration says; what it means, the engine knows.
void check_key(TomlReader &reader, const WorkloadKey &key)
{
    if (!key.required && !reader.has(key.name))
        return;
    switch (key.kind) {
    case KeyKind::text: reader.text(key.name); break;
    case KeyKind::texts: reader.texts(key.name); break;
    case KeyKind::number: reader.number(key.name, 1, huge); break;
    case KeyKind::flag: reader.flag(key.name); break;
    case KeyKind::table: reader.table(key.name); break;
    case KeyKind::choice: reader.choice(key.name, key.allowed); break;
    case KeyKind::choices:
        for (const auto &text : reader.texts(key.name))
            if (std::ranges::find(key.allowed, text) == key.allowed.end())
                reader.fail(key.name, fmt::format("only \"{}\"", fmt::join(key.allowed, "\", \"")));
    }
}

/// "6.1", "7.3", "7.3-debug" or "7.3+dax-map-ahead", each once.
vector<string> read_kernels(TomlReader &reader, const string &key = "kernels")
{
    auto names = reader.texts_or_none(key);
    for (auto at = names.begin(); at != names.end(); ++at)
        if (!is_kernel_name(*at) || std::find(names.begin(), at, *at) != at)
            reader.fail(key,
                        "series of kernels, such as \"6.12\", \"7.3-debug\" or \"7.3+PATCHES\", each once");
    return names;
}

Driver read_driver(TomlReader &reader)
{
    static const std::map<string, Driver> drivers{
        {"single", Driver::single},   {"instances", Driver::instances}, {"frames", Driver::frames},
        {"hostile", Driver::hostile}, {"traced", Driver::traced},       {"build", Driver::build}};
    return drivers.at(
        reader.choice("driver", {"single", "instances", "frames", "hostile", "traced", "build"}));
}

ProfileSpec read_profile(TomlReader reader)
{
    ProfileSpec spec;
    if (const auto value = reader.number_if("repetitions", 1, 10000))
        spec.repetitions = static_cast<int>(*value);
    if (const auto value = reader.number_if("boots", 1, 100))
        spec.boots = static_cast<int>(*value);
    if (const auto value = reader.number_if("limit", 1, 1 << 30))
        spec.limit = static_cast<int>(*value);
    spec.experiments = reader.texts_if("experiments");
    spec.datasets = reader.texts_if("datasets");
    spec.filesystems = reader.texts_if("filesystems");
    spec.workloads = reader.texts_if("workloads");
    spec.instances = reader.numbers_if("instances", 1, 64);
    if (reader.has("kernels"))
        spec.kernels = read_kernels(reader);
    reader.finish();
    return spec;
}

/// Which rows: keys of results.json's measurements with the values they must have.
nlohmann::json read_row(TomlReader &reader, const string &key)
{
    static const std::set<string> known{"experiment", "workload", "dataset", "filesystem",
                                        "variant",    "cache",    "metric"};
    auto table = reader.table(key);
    nlohmann::json row = nlohmann::json::object();
    for (const auto &field : table.keys()) {
        if (!known.contains(field))
            table.fail(field, fmt::format("only \"{}\"", fmt::join(known, "\", \"")));
        row[field] = table.text(field);
    }
    table.finish();
    return row;
}

/// A limit's rows, which may be about filesystems or about images.
void check_row(const nlohmann::json &row, const char *key, const TomlReader &reader,
               const Catalogue &catalogue)
{
    auto subjects = ids_of(catalogue.filesystems);
    subjects.merge(ids_of(catalogue.images));
    auto experiments = ids_of(catalogue.experiments);
    experiments.emplace(image_experiment);
    const auto check = [&](const char *field, const auto &known, const char *where) {
        if (row.contains(field))
            check_known(reader, key, {row.at(field).get<string>()}, known, where);
    };
    check("experiment", experiments, "experiments");
    check("workload", ids_of(catalogue.workloads), "workloads");
    check("dataset", ids_of(catalogue.datasets), "datasets");
    check("filesystem", subjects, "filesystems or images");
    check("metric", ids_of(catalogue.metrics), "metrics.toml");
}

LimitSpec read_limit(TomlReader reader, const Catalogue &catalogue)
{
    LimitSpec spec;
    spec.title = reader.text("title");
    spec.row = read_row(reader, "row");
    if (reader.has("at_most"))
        spec.at_most = reader.real("at_most");
    if (reader.has("against"))
        spec.against = read_row(reader, "against");
    if (reader.has("rivals"))
        spec.rivals = reader.texts("rivals");
    if (reader.has("times"))
        spec.times = reader.real("times");
    if (spec.at_most.has_value() != (spec.against.is_null() && spec.rivals.empty()))
        reader.fail("at_most", "either at_most = NUMBER, or against = {…} or rivals = […] (with times)");
    reader.finish();
    check_row(spec.row, "row", reader, catalogue);
    if (!spec.against.is_null())
        check_row(spec.against, "against", reader, catalogue);
    for (const auto &rival : spec.rivals)
        check_row({{"filesystem", rival}}, "rivals", reader, catalogue);
    return spec;
}

} // namespace

FilesystemSpec read_filesystem(TomlReader &reader)
{
    FilesystemSpec spec;
    spec.id = read_id(reader);
    spec.label = reader.text_or("label", spec.id);
    spec.variant_of = reader.text_or("variant_of", "");
    spec.medium = reader.choice("medium", declared_media());
    if (!spec.mounts())
        return spec;
    spec.type = reader.text("type");
    spec.modules = reader.texts_or_none("modules");
    spec.external_module = reader.text_or("external_module", "");
    if (spec.medium == "ram")
        spec.seed = reader.text("seed");
    else
        spec.image = reader.text("image");
    spec.options = reader.text_or("options", "");
    spec.settings = reader.texts_or_none("settings");
    for (const auto &setting : spec.settings)
        if (!setting.starts_with('/') || setting.find('=') == string::npos)
            reader.fail("settings", "a list of \"/FILE=TEXT\"");
    spec.overlay = reader.has("overlay") && reader.flag("overlay");
    spec.since_kernel = reader.text_or("since_kernel", "");
    spec.kernel_warnings = reader.texts_or_none("kernel_warnings");
    auto prove = reader.table("prove");
    spec.prove.options = prove.texts_or_none("options");
    spec.prove.dax = prove.flag("dax");
    spec.prove.page_cache = prove.flag("page_cache");
    prove.finish();
    return spec;
}

ImageSpec read_image(TomlReader &reader)
{
    ImageSpec spec;
    spec.id = read_id(reader);
    spec.command = reader.texts("command");
    for (const char *place : {"{out}", "{source}"})
        if (std::find(spec.command.begin(), spec.command.end(), place) == spec.command.end())
            reader.fail("command", fmt::format("a command with the argument {}", place));
    spec.version = reader.texts_or_none("version");
    spec.check = reader.texts_or_none("check");
    if (!spec.check.empty() && std::find(spec.check.begin(), spec.check.end(), "{out}") == spec.check.end())
        reader.fail("check", "a command with the argument {out}");
    if (reader.has("program")) {
        auto program = reader.table("program");
        spec.program = ProgramSpec{program.text("name"), program.text("at_least"), program.text("package"),
                                   program.text("release"), program.texts_or_none("also")};
        program.finish();
    }
    spec.align = static_cast<std::uint64_t>(reader.number_if("align", 1, huge).value_or(1));
    return spec;
}

DatasetSpec read_dataset(TomlReader &reader, const fs::path &root)
{
    DatasetSpec spec;
    spec.id = read_id(reader);
    spec.kind = reader.choice("kind", {"none", "debian-rootfs", "random-file", "random-files", "fio-layout",
                                       "file-tree", "layers", "accelerator-data", "sparse-files", "tree"});
    spec.xxh3 = reader.text_or("xxh3", "");
    if (spec.kind == "debian-rootfs")
        spec.packages = reader.texts("packages");
    if (spec.kind == "random-file") {
        spec.bytes = static_cast<std::uint64_t>(reader.number("bytes", 1, huge));
        spec.seed = static_cast<std::uint64_t>(reader.number("seed", 0, huge));
        spec.path = reader.text("path");
    }
    if (spec.kind == "sparse-files")
        spec.data_pages = static_cast<std::uint64_t>(reader.number("data_pages", 1, huge));
    if (spec.kind == "random-files" || spec.kind == "sparse-files") {
        spec.seed = static_cast<std::uint64_t>(reader.number("seed", 0, huge));
        auto files = reader.table("files");
        for (const auto &name : files.keys())
            spec.files[name] = static_cast<std::uint64_t>(files.number(name, 1, huge));
        files.finish();
    }
    if (spec.kind == "file-tree") {
        spec.directories = read_directories(reader);
        spec.tiny_every = static_cast<std::uint64_t>(reader.number_if("tiny_every", 1, huge).value_or(0));
    }
    if (spec.kind == "accelerator-data") {
        spec.seed = static_cast<std::uint64_t>(reader.number("seed", 0, huge));
        spec.slots = static_cast<std::uint64_t>(reader.number("slots", 2, huge));
        auto tensors = reader.table("tensors");
        for (const auto &name : tensors.keys())
            spec.tensors[name] = tensors.text(name);
        tensors.finish();
    }
    if (spec.kind == "layers") {
        spec.layers = static_cast<std::uint64_t>(reader.number("layers", 1, 500)); // what OverlayFS takes
        spec.own = static_cast<std::uint64_t>(reader.number("own", 0, huge));
        spec.shared = static_cast<std::uint64_t>(reader.number("shared", 0, huge));
        spec.bytes = static_cast<std::uint64_t>(reader.number("bytes", 1, huge));
        spec.seed = static_cast<std::uint64_t>(reader.number("seed", 0, huge));
    }
    if (spec.kind == "fio-layout")
        spec.job = fs::absolute(root) / reader.text("job");
    if (spec.kind == "tree")
        spec.source = fs::absolute(reader.text("source"));
    return spec;
}

WorkloadSpec read_workload(TomlReader &reader)
{
    WorkloadSpec spec;
    spec.id = read_id(reader);
    for (const auto &key : find_engine(reader.choice("engine", engine_names()))->keys)
        check_key(reader, key);
    reader.finish();
    spec.arguments = reader.json();
    return spec;
}

ExperimentSpec read_experiment(TomlReader &reader)
{
    ExperimentSpec spec;
    spec.id = read_id(reader);
    spec.title = reader.text_or("title", spec.id);
    spec.driver = read_driver(reader);
    const bool in_guests = spec.driver != Driver::build;
    if (in_guests) {
        spec.clock = reader.choice("clock", {"instructions", "none"}) == "none" ? ClockKind::none
                                                                                : ClockKind::instructions;
        spec.memory_mib = static_cast<int>(reader.number("memory", 64, 1 << 20));
        spec.cpus = static_cast<int>(reader.number_if("cpus", 1, 64).value_or(1));
        spec.kernels = read_kernels(reader);
        spec.mixed_kernels = read_kernels(reader, "mixed_kernels");
        if (!spec.mixed_kernels.empty() && (!spec.kernels.empty() || spec.driver != Driver::instances))
            reader.fail("mixed_kernels", "driver = \"instances\", and no kernels");
        spec.emulated_cpus = static_cast<int>(reader.number_if("emulated_cpus", 1, 64).value_or(1));
        spec.every_run = reader.has("every_run") && reader.flag("every_run");
    }
    spec.datasets = reader.texts("datasets");
    spec.filesystems = reader.texts(in_guests ? "filesystems" : "images");
    spec.workloads = reader.texts("workloads");
    if (reader.has("dataset_workloads")) {
        auto table = reader.table("dataset_workloads");
        for (const auto &key : table.keys())
            spec.dataset_workloads[key] = table.texts(key);
    }
    if (in_guests && reader.has("tools")) {
        auto tools = reader.table("tools");
        spec.tools = ToolsSpec{tools.text("dataset"), tools.text("image")};
        tools.finish();
    }
    if (spec.driver == Driver::instances)
        spec.instances = reader.numbers_if("instances", 1, 64).value_or(vector<int>{1});
    if (spec.driver == Driver::hostile) {
        spec.instances = reader.numbers_if("instances", 1, 2).value_or(vector<int>{1});
        spec.other_dataset = reader.text("other_dataset");
    }
    spec.timeout_s = static_cast<int>(reader.number("timeout", 1, 86400));
    spec.estimate_s = reader.has("estimate") ? reader.real("estimate") : 15;
    if (const auto metrics = reader.texts_if("table"))
        spec.table = *metrics;
    return spec;
}

SuiteSpec read_suite(TomlReader &reader, const Catalogue &catalogue)
{
    SuiteSpec spec;
    spec.id = read_id(reader);
    spec.title = reader.text_or("title", spec.id);
    spec.subject = reader.text_or("subject", "");
    spec.experiments = reader.texts("experiments");
    spec.kernels = read_kernels(reader);
    auto profiles = reader.table("profile");
    for (const auto &name : profiles.keys())
        spec.profiles[name] = read_profile(profiles.table(name));
    if (reader.has("limit")) {
        auto limits = reader.table("limit");
        for (const auto &name : limits.keys())
            spec.limits.push_back(read_limit(limits.table(name), catalogue));
    }
    return spec;
}

std::map<string, MetricSpec> read_metrics(const fs::path &file)
{
    const auto table = parse_toml(file);
    TomlReader reader(file, table, "", &declared_file("metrics.toml"));
    std::map<string, MetricSpec> specs;
    for (const auto &id : reader.keys()) {
        auto entry = reader.table(id);
        MetricSpec spec;
        spec.label = entry.text("label");
        if (entry.has("better"))
            spec.better = entry.choice("better", {"lower", "higher"});
        if (entry.has("margin"))
            spec.margin = entry.real("margin");
        entry.finish();
        specs[id] = spec;
    }
    return specs;
}

} // namespace daxbench
