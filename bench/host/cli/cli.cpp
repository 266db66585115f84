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
#include "join.hpp"
#include "process.hpp"
#include "run.hpp"
#include "source_kernel.hpp"
#include "spec.hpp"
#include "workload.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

using std::string;
using std::vector;

struct Options {
    vector<string> words;
    string what; ///< the first word: a suite, or list, doctor, setup, schema, reference
    string workloads;
    string kernel;
    string modules;
    string headers;
    string series;
    vector<string> also_kernels;
    vector<string> with;
    string dataset_from;
    string results;
    bool no_install = false;
    RunRequest run;
};

constexpr const char *footer =
    "SUITE is one that `list` names, such as erofs-vs-daxfs. Instead of a suite:\n"
    "  list       suites, experiments, datasets, filesystems and workloads\n"
    "  doctor     what works on this machine, tried out\n"
    "  setup      fetch the guest kernel; prints the folder of its headers; with a command after it, of all\n"
    "             kernels of that command\n"
    "  schema     JSON Schema of what a file of workloads may say\n"
    "  reference  docs/workloads.md: every key of the declarations\n"
    "./run-bench also takes these, with runs that were made (docs/measuring.md):\n"
    "  show RUN, compare A B, evidence RUN…, paper RUN\n"
    "Exit status: 0 all was measured and no limit missed, 1 something could not be measured (it is named),\n"
    "2 usage, 3 a limit of the suite was missed.";

void declare(CLI::App &app, Options &options)
{
    app.footer(footer);
    app.add_option("SUITE", options.words, "suite to run, or list, doctor, setup, schema, reference")
        ->required();
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
        ->delimiter(',');
    app.add_option("--also-kernel", options.also_kernels,
                   "with setup: get this kernel, too, e.g. 6.1, 7.3 or 6.12-debug");
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
    if (options.words.size() < 2)
        return {};
    const auto catalogue = catalogue_of(options);
    auto request = options.run.plan;
    request.suite = options.words[1];
    if (!catalogue.suites.contains(request.suite))
        return {};
    return kernel_names(make_plan(catalogue, request));
}

int setup(const Options &options, const Streams &streams)
{
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

int dispatch(const Options &options, const Streams &streams)
{
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
    return run_suite(catalogue, options.run, streams.out, streams.err, streams.columns);
}

/// Wrong words on the command line are usage, status 2, before anything is made.
void check_request(const Options &options)
{
    static const std::set<string> others{"setup", "list", "doctor", "schema", "reference"};
    if (others.contains(options.what))
        return;
    if (options.words.size() > 1)
        throw std::runtime_error(fmt::format("expected one suite, got {}", fmt::join(options.words, " ")));
    make_plan(catalogue_of(options), options.run.plan);
}

} // namespace

int run_cli(const vector<string> &args, const Streams &streams)
{
    CLI::App app{"Compares filesystems for memory shared between kernels, in virtual machines.", "daxbench"};
    Options options;
    declare(app, options);
    try {
        app.parse(vector<string>(args.rbegin(), args.rend())); // CLI11 takes them backwards
        options.what = options.words.front();
        options.run.plan.suite = options.what;
        options.run.kernel = {options.kernel, options.modules, options.headers, options.series};
        options.run.results = options.results;
        options.run.command = {"daxbench"};
        options.run.command.insert(options.run.command.end(), args.begin(), args.end());
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
