// SPDX-License-Identifier: Apache-2.0
#include "cli.hpp"

#include <set>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include "declared_keys.hpp"
#include "display.hpp"
#include "doctor.hpp"
#include "explain.hpp"
#include "join.hpp"
#include "merge.hpp"
#include "process.hpp"
#include "run.hpp"
#include "run_record.hpp"
#include "source_kernel.hpp"
#include "spec.hpp"
#include "workload.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;
using std::vector;

struct Options {
    vector<string> words;
    string what; ///< the first word: a suite, or list, doctor, setup, schema, reference, explain, …
    string workloads;
    string kernel;
    string modules;
    string headers;
    string series;
    vector<string> also_kernels;
    vector<string> with;
    string dataset_from;
    string shard;
    string on = "guests";
    string pmem;
    NativeOptions native;
    string results;
    bool no_install = false;
    RunRequest run;
    ExplainRequest explain;
};

constexpr const char *footer =
    "SUITE is one that `list` names, such as erofs-vs-daxfs. Instead of a suite:\n"
    "  explain    CELL [CELL] --workload W: a row's instructions by function of the kernel, or where two "
    "differ\n"
    "  list       suites, experiments, datasets, filesystems and workloads\n"
    "  doctor     what works on this machine, tried out\n"
    "  setup      fetch the guest kernel; prints the folder of its headers; with a command after it, of all\n"
    "             kernels of that command\n"
    "  schema     JSON Schema of what a file of workloads may say\n"
    "  reference  docs/workloads.md: every key of the declarations\n"
    "  resume RUN        goes on with a run that was stopped: finished cells stay; refused where kernel, "
    "commit,\n"
    "                    module, images, … are no longer those that they were measured with\n"
    "  merge RUN RUN…    one run of several: shards, single cells (--only), or runs of several machines\n"
    "./run-bench also takes these, with runs that were made (docs/measuring.md):\n"
    "  show RUN, compare A B, evidence RUN…, paper RUN\n"
    "Exit status: 0 all was measured and no limit missed, 1 something could not be measured (it is named),\n"
    "2 usage, 3 a limit of the suite was missed.";

void declare(CLI::App &app, Options &options)
{
    app.footer(footer);
    app.add_option("SUITE", options.words, "suite to run, or list, doctor, setup, schema, reference, explain")
        ->required();
    app.add_option("--workload", options.explain.workload, "with explain: which of the cell's workloads");
    app.add_option("--cache", options.explain.cache, "with explain: warm or cold")
        ->check(CLI::IsMember({"warm", "cold"}));
    app.add_option("--variant", options.explain.variant, "with explain: shared or private")
        ->check(CLI::IsMember({"shared", "private"}));
    app.add_option("--format", options.explain.format, "with explain: how it is printed")
        ->check(CLI::IsMember({"table", "markdown", "csv", "json"}))
        ->capture_default_str();
    app.add_flag("--model", options.explain.model,
                 "with explain: also a model of the caches and TLBs that the same run would miss");
    app.add_option("--top", options.explain.top, "with explain: lines of the table, 0 for all")
        ->capture_default_str();
    app.add_option("--profile", options.run.plan.profile, "how much: smoke, default or full")
        ->capture_default_str();
    app.add_flag("--dry-run", options.run.dry_run, "print the cells and the QEMU command of each; run none");
    app.add_option("--filesystems", options.run.plan.filesystems,
                   "only these (of image-build: images), with commas between")
        ->delimiter(',');
    app.add_option("--only", options.run.plan.only, "only cells whose id matches, e.g. 'latency/rootfs/*'");
    app.add_option("--accel", options.run.accel, "accelerator")
        ->check(CLI::IsMember({"auto", "kvm", "tcg"}))
        ->capture_default_str();
    auto *kernel = app.add_option("--kernel", options.kernel, "guest kernel (bzImage) in place of Debian's")
                       ->check(CLI::ExistingFile);
    app.add_option("--modules", options.modules, "its lib/modules/RELEASE")
        ->check(CLI::ExistingDirectory)
        ->needs(kernel);
    app.add_option("--headers", options.headers, "its headers, to build modules against")
        ->check(CLI::ExistingDirectory)
        ->needs(kernel);
    app.add_option("--kernel-series", options.series,
                   "guest kernel built from Debian's source, e.g. 7.3, or 7.3-debug with its "
                   "checkers; once, up to half an hour on two cores")
        ->excludes(kernel);
    app.add_option(
           "--kernels", options.run.plan.kernels,
           "measure each cell on each of these kernels, such as 6.1,6.12,7.3, in place of those that the "
           "suite declares")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_option("--also-kernel", options.also_kernels,
                   "with setup: get this kernel, too, e.g. 6.1, 7.3 or 6.12-debug");
    app.add_option("--seed", options.run.seed, "of the order in which cells run; figures do not depend on it")
        ->capture_default_str();
    app.add_option("--shard", options.shard,
                   "I/N: only the Ith of N parts of about equal length, to be merged with the others");
    app.add_option(
           "--executor", options.run.executor,
           "slurm: each cell is a job of Slurm (slurm-client; SLURM_CONF and SBATCH_PARTITION count), "
           "started again up to two times where its node is lost; --jobs bounds the jobs at a time. All "
           "machines must see --results, the cache (XDG_CACHE_HOME) and this tree under the same paths")
        ->check(CLI::IsMember({"local", "slurm"}))
        ->capture_default_str();
    app.add_option(
           "--on", options.on,
           "host: run the agent on this machine itself, as root, in ns; below a mount namespace of its own, "
           "of which nothing stays. Cells that need guests fail")
        ->check(CLI::IsMember({"guests", "host"}))
        ->capture_default_str();
    app.add_option("--pmem", options.pmem,
                   "with --on host: write images to this device, such as /dev/pmem0; what "
                   "is on it is LOST")
        ->check(CLI::ExistingFile);
    app.add_flag(
        "--load-modules", options.native.load_modules,
        "with --on host: load the modules that filesystems need into this machine's kernel, and unload "
        "them afterwards (default: none is loaded)");
    app.add_flag(
        "--drop-caches", options.native.drop_caches,
        "with --on host: drop the page cache, dentries and inodes of the WHOLE machine for cold figures "
        "(default: never; cold figures fail)");
    app.add_option("--results", options.results, "folder of all runs (default: results/)");
    app.add_option("--workloads", options.workloads, "folder of declarations (default: workloads/)");
    app.add_option("--with", options.with,
                   "one more declaration (of a filesystem, image, dataset, workload, …), which joins the "
                   "experiments it fits; repeat for more")
        ->check(CLI::ExistingFile);
    app.add_option(
           "--dataset-from", options.dataset_from,
           "measure this folder, tar archive or OCI image instead of the suite's datasets, wherever the "
           "workloads take any tree")
        ->check(CLI::ExistingPath);
    app.add_option("--jobs", options.run.jobs,
                   "guests at once (default: one for each core under TCG, one under KVM)")
        ->check(CLI::Range(1U, 1024U));
    app.add_flag("--keep-guests", options.run.keep_guests, "leave guests running and say how to reach them");
    app.add_flag("--no-install", options.no_install, "(for run-bench) name missing packages, install none");
}

fs::path absolute_or_empty(const string &path)
{
    return path.empty() ? fs::path() : fs::absolute(path);
}

/// What follows from the options as parsed. Paths are absolute from here on.
void complete(Options &options, const vector<string> &args)
{
    options.what = options.words.front();
    if (options.what == "explain")
        options.explain.cells.assign(options.words.begin() + 1, options.words.end());
    options.run.plan.suite = options.what;
    options.run.kernel = {absolute_or_empty(options.kernel), absolute_or_empty(options.modules),
                          absolute_or_empty(options.headers), options.series};
    options.run.results = absolute_or_empty(options.results);
    options.explain.kernel = options.run.kernel;
    options.explain.results = options.run.results;
    options.workloads = absolute_or_empty(options.workloads).string();
    options.dataset_from = absolute_or_empty(options.dataset_from).string();
    for (auto &file : options.with)
        file = fs::absolute(file).string();
    if (!options.shard.empty())
        options.run.shard = parse_shard(options.shard);
    if (options.on == "host") {
        options.native.pmem = absolute_or_empty(options.pmem);
        options.run.native = options.native;
    }
    options.run.command = args;
}

/// The working directory for a while.
class InFolder {
public:
    explicit InFolder(const fs::path &folder) : before_(fs::current_path())
    {
        if (!fs::is_directory(folder))
            throw std::runtime_error(fmt::format(
                "expected the folder in which the run was started, {} is not there", folder.string()));
        fs::current_path(folder);
    }
    InFolder(const InFolder &) = delete;
    InFolder &operator=(const InFolder &) = delete;
    ~InFolder()
    {
        std::error_code ignored;
        fs::current_path(before_, ignored);
    }

private:
    const fs::path before_;
};

/// The options of a run that was made, as its record has them.
Options recorded_options(const fs::path &run_dir)
{
    const auto record = read_record(run_dir);
    const InFolder folder(record.folder);
    CLI::App app;
    Options options;
    declare(app, options);
    try {
        app.parse(vector<string>(record.command.rbegin(), record.command.rend()));
        complete(options, record.command);
    } catch (const CLI::ParseError &error) {
        throw std::runtime_error(fmt::format("{}: expected a command of this version in run.json: {}",
                                             run_dir.string(), error.what()));
    }
    return options;
}

Catalogue catalogue_of(const Options &options)
{
    auto catalogue = load_catalogue(options.workloads.empty() ? own_paths().source / "workloads"
                                                              : std::filesystem::path(options.workloads),
                                    {options.with.begin(), options.with.end()});
    if (!options.dataset_from.empty()) {
        DatasetSpec dataset;
        dataset.id = "given";
        dataset.kind = "tree";
        dataset.source = std::filesystem::absolute(options.dataset_from);
        use_only(catalogue, dataset);
    }
    return catalogue;
}

template <typename Map> void print_ids(std::ostream &out, const char *title, const Map &map)
{
    vector<string> ids;
    for (const auto &[id, unused] : map)
        ids.push_back(id);
    fmt::print(out, "{:<13} {}\n", title, fmt::join(ids, " "));
}

int list(const Catalogue &catalogue, std::ostream &out)
{
    for (const auto &[id, suite] : catalogue.suites) {
        fmt::print(out, "{:<13} {}: {}\n", "suite", id, suite.title);
        print_ids(out, "  profiles", suite.profiles);
    }
    print_ids(out, "experiments", catalogue.experiments);
    print_ids(out, "datasets", catalogue.datasets);
    print_ids(out, "filesystems", catalogue.filesystems);
    print_ids(out, "images", catalogue.images);
    print_ids(out, "workloads", catalogue.workloads);
    return 0;
}

int doctor(const Catalogue &catalogue, const Options &options, const Streams &streams)
{
    Display display(streams.err, streams.columns);
    const auto findings = examine(catalogue, options.run.kernel, options.run.accel,
                                  [&](const string &line) { display.working(line); });
    display.clear();
    return print_findings(streams.out, findings);
}

/// A kernel for tests only; a Debian without it is no reason to stop.
void print_more_headers(const string &name, Display &display, const Streams &streams)
{
    try {
        const auto kernel = named_kernel(name, kernel_configs(own_paths()),
                                         [&](const string &line) { display.working(line); });
        fmt::print(streams.out, "{}\n", kernel.headers_dir.string());
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &error) {
        fmt::print(streams.err, "no kernel {} here: {}\n", name, error.what());
    }
}

/// The kernels that the command after `setup` needs beside the run's own.
std::set<string> kernels_of_command(const Options &options)
{
    const auto catalogue = catalogue_of(options);
    if (!catalogue.suites.contains(options.run.plan.suite))
        return {};
    return kernel_names(cells_of_request(catalogue, options.run));
}

int setup(const Options &given, const Streams &streams)
{
    auto options = given;
    const auto &words = given.words;
    if (words.size() > 2 && words[1] == "resume")
        options = recorded_options(words[2]);
    else if (words.size() > 1)
        options.run.plan.suite = words[1];
    Display display(streams.err, streams.columns);
    const auto more = kernels_of_command(options);
    const auto kernel = choose_kernel(options.run.kernel, [&](const string &line) { display.working(line); });
    if (!kernel.headers_dir.empty())
        fmt::print(streams.out, "{}\n", kernel.headers_dir.string());
    for (const auto &name : options.also_kernels)
        print_more_headers(name, display, streams);
    for (const auto &name : more)
        if (!name.empty())
            print_more_headers(name, display, streams);
    display.clear();
    return 0;
}

int resume(const Options &given, const Streams &streams)
{
    if (given.words.size() != 2)
        throw std::runtime_error("expected the folder of one run: resume RUN");
    const auto run_dir = fs::canonical(given.words[1]);
    auto options = recorded_options(run_dir);
    options.run.resume = run_dir;
    options.run.dry_run = given.run.dry_run;
    options.run.keep_guests = given.run.keep_guests;
    if (given.run.jobs > 0)
        options.run.jobs = given.run.jobs;
    return run_suite(catalogue_of(options), options.run, streams.out, streams.err, streams.columns);
}

int merge(const Options &options, const Streams &streams)
{
    const vector<fs::path> runs(options.words.begin() + 1, options.words.end());
    const auto read = [](const fs::path &run_dir) {
        const auto recorded = recorded_options(run_dir);
        return RecordedRun{recorded.run, catalogue_of(recorded)};
    };
    return merge_runs(runs, read, options.run.results, streams.out, streams.err, streams.columns);
}

/// cell RUN FOLDER ID…: what a job of Slurm runs.
int cell(const Options &given, const Streams &streams)
{
    const auto &words = given.words;
    if (words.size() < 4)
        throw std::runtime_error("expected cell RUN FOLDER ID…");
    auto options = recorded_options(words[1]);
    // As the run found it, or the machines would choose each for itself.
    if (const auto accelerator = read_record(words[1]).accelerator; accelerator != "none")
        options.run.accel = accelerator;
    return run_portion(catalogue_of(options), options.run, words[1], words[2],
                       {words.begin() + 3, words.end()}, streams.err);
}

int dispatch(const Options &options, const Streams &streams)
{
    if (options.what == "resume")
        return resume(options, streams);
    if (options.what == "merge")
        return merge(options, streams);
    if (options.what == "cell")
        return cell(options, streams);
    if (options.what == "schema") {
        streams.out << workload_schema().dump(2) << '\n';
        return 0;
    }
    if (options.what == "reference") {
        streams.out << workloads_document();
        return 0;
    }
    if (options.what == "setup")
        return setup(options, streams);
    const auto catalogue = catalogue_of(options);
    if (options.what == "list")
        return list(catalogue, streams.out);
    if (options.what == "doctor")
        return doctor(catalogue, options, streams);
    if (options.what == "explain")
        return explain(catalogue, options.explain, streams.out, streams.err, streams.columns);
    return run_suite(catalogue, options.run, streams.out, streams.err, streams.columns);
}

/// Wrong words on the command line are usage, status 2, before anything is made.
void check_request(const Options &options)
{
    static const std::set<string> others{"setup",     "list",   "doctor", "schema",
                                         "reference", "resume", "merge",  "cell"};
    if (others.contains(options.what))
        return;
    if (options.what == "explain") {
        explained_cells(catalogue_of(options), options.explain);
        return;
    }
    if (options.words.size() > 1)
        throw std::runtime_error(fmt::format("expected one suite, got {}", fmt::join(options.words, " ")));
    cells_of_request(catalogue_of(options), options.run);
}

} // namespace

int run_cli(const vector<string> &args, const Streams &streams)
{
    CLI::App app{"Compares filesystems for memory shared between kernels, in virtual machines.", "daxbench"};
    Options options;
    declare(app, options);
    try {
        app.parse(vector<string>(args.rbegin(), args.rend())); // CLI11 takes them backwards
        complete(options, args);
        check_request(options);
    } catch (const CLI::ParseError &error) {
        return app.exit(error, streams.out, streams.err) == 0 ? 0 : 2;
    } catch (const std::exception &error) {
        fmt::print(streams.err, "daxbench: {}\n", error.what());
        return 2;
    }
    try {
        return dispatch(options, streams);
    } catch (const std::exception &error) {
        fmt::print(streams.err, "daxbench: {}\n", error.what());
        return 1;
    }
}

} // namespace daxbench
