// SPDX-License-Identifier: Apache-2.0
// From cells to results.json: limits, composition, schema, command line.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cli.hpp"
#include "driver.hpp"
#include "fake_guest.hpp"
#include "files.hpp"
#include "inputs.hpp"
#include "limits.hpp"
#include "results.hpp"
#include "run_record.hpp"
#include "spec.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;

// ---- limits ----

json limit_row(const string &filesystem, const string &workload, json value)
{
    return {{"dataset", "rootfs"},    {"workload", workload},     {"variant", ""},
            {"cache", "warm"},        {"metric", "cost_per_op"},  {"filesystem", filesystem},
            {"unit", "instructions"}, {"value", std::move(value)}};
}

TEST(Limits, HighestOfTheRowsAgainstANumber)
{
    LimitSpec limit;
    limit.title = "t";
    limit.row = {{"filesystem", "daxfs"}};
    limit.at_most = 12;
    const auto rows =
        json{limit_row("daxfs", "a", 10), limit_row("daxfs", "b", 12), limit_row("tmpfs", "a", 99)};
    auto verdict = judge_limits({limit}, rows).at(0);
    EXPECT_EQ(verdict.at("value"), 12);
    EXPECT_EQ(verdict.at("met"), true);
    limit.at_most = 11;
    EXPECT_EQ(judge_limits({limit}, rows).at(0).at("met"), false);
}

TEST(Limits, AgainstTheBestRivalAndAgainstAnotherRow)
{
    LimitSpec rivals;
    rivals.row = {{"filesystem", "daxfs"}, {"workload", "a"}};
    rivals.rivals = {"tmpfs", "ramfs"};
    LimitSpec other;
    other.row = {{"filesystem", "daxfs"}, {"workload", "b"}};
    other.against = {{"workload", "a"}};
    other.times = 1.5;
    const auto rows = json{limit_row("daxfs", "a", 10), limit_row("daxfs", "b", 15),
                           limit_row("tmpfs", "a", 11), limit_row("ramfs", "a", 9)};
    const auto verdicts = judge_limits({rivals, other}, rows);
    EXPECT_EQ(verdicts.at(0).at("bound"), 9);
    EXPECT_EQ(verdicts.at(0).at("against"), "rootfs a warm ramfs");
    EXPECT_EQ(verdicts.at(0).at("met"), false);
    EXPECT_EQ(verdicts.at(1).at("bound"), 15);
    EXPECT_EQ(verdicts.at(1).at("met"), true);
}

TEST(Limits, EachKernelIsJudgedByItself)
{
    LimitSpec limit;
    limit.title = "t";
    limit.row = {{"filesystem", "daxfs"}};
    limit.rivals = {"tmpfs"};
    auto rows = json{limit_row("daxfs", "a", 10), limit_row("tmpfs", "a", 11), limit_row("daxfs", "a", 20),
                     limit_row("tmpfs", "a", 19)};
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i]["kernel"] = i < 2 ? "6.1.0" : "7.3.4";
    const auto verdicts = judge_limits({limit}, rows);
    ASSERT_EQ(verdicts.size(), 2);
    EXPECT_EQ(verdicts.at(0).at("title"), "t, 6.1.0");
    EXPECT_EQ(verdicts.at(0).at("bound"), 11);
    EXPECT_EQ(verdicts.at(0).at("met"), true);
    EXPECT_EQ(verdicts.at(1).at("bound"), 19) << "not the other kernel's";
    EXPECT_EQ(verdicts.at(1).at("met"), false);
}

TEST(Limits, WhatWasNotMeasuredIsNotJudged)
{
    LimitSpec limit;
    limit.row = {{"filesystem", "daxfs"}};
    limit.rivals = {"tmpfs"};
    const auto only_mine = json{limit_row("daxfs", "a", 10)};
    EXPECT_TRUE(judge_limits({limit}, only_mine).at(0).at("met").is_null());
    const auto broken =
        json{limit_row("daxfs", "a", 10), limit_row("daxfs", "b", nullptr), limit_row("tmpfs", "a", 11)};
    EXPECT_TRUE(judge_limits({limit}, broken).at(0).at("met").is_null());
    EXPECT_TRUE(judge_limits({limit}, json::array()).at(0).at("value").is_null());
}

// ---- composition ----

Composition composition(const std::vector<CellResult> &results)
{
    static const auto catalogue = load_catalogue(own_paths().source / "workloads");
    Composition parts;
    parts.catalogue = &catalogue;
    parts.run = {"20261122-165000-erofs-vs-daxfs",           "erofs-vs-daxfs", "title", "default",
                 iso_time(std::chrono::system_clock::now()), {"daxbench"},     1};
    const auto input = input_of(Driver::single, 1);
    for (const auto &result : results)
        parts.cells.push_back(cell_document(input.cell, result, "logs/x"));
    HostEnvironment host;
    host.cores = 2;
    parts.environment = environment_document(host, {}, nullptr, parts.cells);
    Image image;
    image.id = "daxfs";
    image.dataset = "rootfs";
    image.bytes = 1000;
    image.built = true;
    image.xxh3 = string(32, '0');
    parts.images = {image};
    return parts;
}

Paths source_paths()
{
    return own_paths();
}

CellResult good_result()
{
    FakeHost host;
    return run_cell(input_of(Driver::single, 1), host);
}

CellResult failed_result()
{
    CellResult result;
    result.status = "failed";
    result.error = "no reason";
    return result;
}

TEST(Results, ValidateAgainstTheSchema)
{
    TempDir dir;
    const auto results = compose(composition({good_result(), failed_result()}));
    EXPECT_EQ(results["run"]["status"], "partial");
    write_results(dir.path(), results, source_paths());
    EXPECT_TRUE(fs::exists(dir.path() / "results.json"));
    EXPECT_FALSE(fs::exists(dir.path() / "results.json.new"));
}

TEST(Results, AnUnknownUnitIsNotPublished)
{
    TempDir dir;
    auto results = compose(composition({good_result()}));
    results["measurements"][0]["unit"] = "furlongs";
    EXPECT_THROW(write_results(dir.path(), results, source_paths()), std::runtime_error);
    EXPECT_FALSE(fs::exists(dir.path() / "results.json"));
}

TEST(Results, WhatAnOlderKernelHasNotIsNoFailure)
{
    TempDir dir;
    CellResult result;
    result.status = "unsupported";
    result.error = "expected Linux 7.0 or later";
    const auto results = compose(composition({good_result(), result}));
    EXPECT_EQ(results["run"]["status"], "complete");
    EXPECT_EQ(results["errors"].dump().find("expected Linux"), string::npos) << results["errors"];
    EXPECT_EQ(results["cells"][1]["reason"], "expected Linux 7.0 or later");
    write_results(dir.path(), results, source_paths());
}

TEST(Results, StatusSaysWhatHappened)
{
    auto parts = composition({good_result()});
    EXPECT_EQ(compose(parts)["run"]["status"], "complete");
    parts.interrupted = true;
    EXPECT_EQ(compose(parts)["run"]["status"], "interrupted");
}

TEST(Results, ImagesAreMeasurementsToo)
{
    const auto results = compose(composition({good_result()}));
    EXPECT_EQ(results["measurements"][0]["metric"], "image_bytes");
    EXPECT_EQ(results["measurements"][0]["value"], 1000);
    EXPECT_EQ(results["measurements"][1]["clock"], "host-wall");
}

TEST(Results, AnImageOfTheCacheHasNoBuildTime)
{
    auto parts = composition({good_result()});
    parts.images[0].built = false;
    const auto results = compose(parts);
    EXPECT_TRUE(results["images"][0]["build_seconds"].is_null());
    for (const auto &row : results["measurements"])
        EXPECT_NE(row["metric"], "build_seconds");
}

TEST(Results, WhatIdsStandForIsDeclaredInThem)
{
    const auto results = compose(composition({good_result()}));
    const auto has = [&](const char *list, const string &id) {
        const auto &rows = results[list];
        return std::any_of(rows.begin(), rows.end(), [&](const json &row) { return row["id"] == id; });
    };
    EXPECT_TRUE(has("metrics", "image_bytes"));
    EXPECT_FALSE(has("metrics", "iops")) << "only what occurs";
    EXPECT_TRUE(has("filesystems", "daxfs"));
    EXPECT_FALSE(has("filesystems", "tmpfs"));
    EXPECT_EQ(results["experiments"].size(), 1);
}

TEST(Results, AMetricThatIsNotDeclaredIsAnError)
{
    auto parts = composition({good_result()});
    parts.cells[0]["measurements"][0]["metric"] = "furlongs";
    const auto errors = compose(parts)["errors"].dump();
    EXPECT_NE(errors.find("expected the metric furlongs in workloads/metrics.toml"), string::npos) << errors;
    EXPECT_EQ(errors.find("cost_per_op"), string::npos) << errors;
}

TEST(Results, LatestPointsToTheRun)
{
    TempDir dir;
    fs::create_directory(dir.path() / "one");
    fs::create_directory(dir.path() / "two");
    point_latest_at(dir.path() / "one");
    point_latest_at(dir.path() / "two");
    EXPECT_EQ(fs::read_symlink(dir.path() / "latest"), "two");
}

TEST(Results, TimesAreUtc)
{
    const auto when = std::chrono::system_clock::from_time_t(1795366200);
    EXPECT_EQ(iso_time(when), "2026-11-22T16:50:00Z");
    EXPECT_EQ(stamp(when), "20261122-165000");
}

// ---- a run's record, and what cells depend on ----

TEST(RunRecord, IsReadAsItWasWritten)
{
    TempDir dir;
    RunRecord record;
    record.id = "20261122-165000-erofs-vs-daxfs";
    record.suite = "erofs-vs-daxfs";
    record.started = "2026-11-22T16:50:00Z";
    record.command = {"erofs-vs-daxfs", "--only", "rss/*"};
    record.folder = "/";
    record.accelerator = "tcg";
    record.seconds = 1.5;
    record.resumed = {{"2026-11-22T17:50:00Z", 3}};
    record.merged = {{"a", 2}};
    write_record(dir.path(), record);
    EXPECT_EQ(to_json(read_record(dir.path())), to_json(record));
    write_file(dir.path() / "run.json", "{}");
    EXPECT_THROW(read_record(dir.path()), std::runtime_error);
}

TEST(RunRecord, ResultsTellOfIt)
{
    auto parts = composition({good_result()});
    parts.run.resumed = {{"2026-11-22T17:50:00Z", 3}};
    parts.run.shard = "1/2";
    parts.run.executor = "slurm";
    const auto results = compose(parts);
    TempDir dir;
    write_results(dir.path(), results, source_paths()); // throws where the schema does not allow it
    EXPECT_EQ(results["run"]["resumed"][0]["kept"], 3);
    EXPECT_EQ(results["run"]["shard"], "1/2");
}

TEST(Inputs, OnlyWhatBothNameCanDiffer)
{
    const json one = {{"kernel", "6.12.1"}, {"image daxfs/rootfs", "aa"}};
    EXPECT_EQ(difference(one, {{"kernel", "6.12.1"}, {"image erofs/rootfs", "bb"}}), "");
    EXPECT_EQ(difference(one, {{"kernel", "6.12.2"}}), "kernel: 6.12.1 and 6.12.2");
}

TEST(Inputs, NameTheKernelOfTheAxis)
{
    World world;
    world.accel.name = "tcg";
    world.kernels["6.1"].kernel.release = "6.1.0-40";
    world.kernels["7.3"].kernel.release = "7.3.4";
    const auto catalogue = load_catalogue(own_paths().source / "workloads");
    Cell cell;
    cell.filesystem = "daxfs";
    cell.dataset = "rootfs";
    cell.kernels = {"7.3"};
    const auto inputs = inputs_of(world, catalogue, cell, {"c0ffee", false}, {});
    EXPECT_EQ(inputs.at("kernel 7.3"), "7.3.4");
    EXPECT_FALSE(inputs.contains("kernel 6.1"));
    EXPECT_EQ(inputs.at("commit"), "c0ffee");
    EXPECT_FALSE(inputs.contains("CPU")) << "counted instructions are the same on any";
}

// ---- command line ----

int cli(const std::vector<string> &args, string &out, string &err)
{
    std::ostringstream out_stream;
    std::ostringstream err_stream;
    const int status = run_cli(args, {out_stream, err_stream, 0});
    out = out_stream.str();
    err = err_stream.str();
    return status;
}

TEST(CommandLine, UsageIsStatusTwo)
{
    string out;
    string err;
    EXPECT_EQ(cli({}, out, err), 2);
    EXPECT_EQ(cli({"erofs-vs-daxfs", "--nonsense"}, out, err), 2);
    EXPECT_EQ(cli({"no-such-suite"}, out, err), 2);
    EXPECT_NE(err.find("expected a suite, got \"no-such-suite\"; there are: all-claims, erofs-vs-daxfs"),
              string::npos)
        << err;
}

TEST(CommandLine, HelpAndListAreStatusZero)
{
    string out;
    string err;
    EXPECT_EQ(cli({"--help"}, out, err), 0);
    EXPECT_NE(out.find("--profile"), string::npos);
    EXPECT_EQ(cli({"list"}, out, err), 0);
    EXPECT_NE(out.find("mmap-touch-seq"), string::npos);
}

} // namespace
} // namespace daxbench
