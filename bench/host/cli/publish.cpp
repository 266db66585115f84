// SPDX-License-Identifier: Apache-2.0
#include "publish.hpp"

#include <algorithm>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include "interrupt.hpp"
#include "process.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;

constexpr const char *python = "/usr/bin/python3";

/// The verdict, for the terminal, is the analysis's, too.
string report(const fs::path &run_dir, const Paths &paths, Display &display)
{
    display.working("drawing figures");
    CommandOptions options;
    options.log = run_dir / "logs/report.log";
    const auto done = run_command(
        {python, (paths.source / "analysis/report.py").string(), run_dir.string(), "--table"}, options);
    if (done.ok())
        return done.out;
    display.say(fmt::format("no table, report or figures: {}; see {}",
                            done.err.substr(0, done.err.find('\n')), options.log.string()));
    return "";
}

} // namespace

fs::path make_run_dir(const fs::path &root, const string &suite, std::chrono::system_clock::time_point when)
{
    const auto dir = stamped_folder(root, suite, when);
    fs::create_directory(dir / "cells");
    fs::create_directory(dir / "logs");
    return dir;
}

string publish(const fs::path &run_dir, const nlohmann::json &results, const Paths &paths, Display &display)
{
    display.working("writing results");
    write_results(run_dir, results, paths);
    if (results["run"]["status"] == "complete" && !results["run"].contains("shard"))
        point_latest_at(run_dir);
    const auto table = interrupted() ? string() : report(run_dir, paths, display);
    display.clear();
    return table;
}

void print_paths(std::ostream &out, const fs::path &run_dir)
{
    out << '\n';
    for (const char *name : {"results.json", "report.html", "report.md", "figures", "logs"})
        if (fs::exists(run_dir / name))
            fmt::print(out, "{}\n", (run_dir / name).string());
}

int exit_status(const nlohmann::json &results, bool shown)
{
    if (results.at("run").at("status") != "complete" || !results.at("errors").empty() || !shown)
        return 1;
    const auto &limits = results.at("limits");
    return std::ranges::any_of(limits, [](const auto &limit) { return limit.at("met") == false; }) ? 3 : 0;
}

} // namespace daxbench
