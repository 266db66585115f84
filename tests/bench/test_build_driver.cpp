// SPDX-License-Identifier: Apache-2.0
// The tools that make images: the order in which they are measured, what becomes of the figures, and the
// program that counts.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "build_driver.hpp"
#include "cache.hpp"
#include "dataset.hpp"
#include "process.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;
using std::vector;

/// Notes what it is asked; a sample's figures are the number of the run.
class FakeHost : public BuildHost {
public:
    BuildSample build(const Cell &cell, bool check) override
    {
        calls.push_back(cell.filesystem);
        if (cell.filesystem == broken)
            throw std::runtime_error("no space");
        BuildSample sample;
        sample.seconds = ++runs[cell.filesystem];
        sample.peak_bytes = 1000;
        if (check && cell.filesystem != "b")
            sample.check_seconds = sample.seconds * 10;
        sample.image_xxh3 = cell.filesystem == fickle ? std::to_string(sample.seconds) : "same";
        return sample;
    }
    string make_cold() override
    {
        calls.push_back("drop");
        return "dropped";
    }
    void step(const Cell &, const string &) override {}

    vector<string> calls;
    std::map<string, int> runs;
    string broken;
    string fickle;
};

vector<Cell> cells_of(const vector<string> &images, const vector<string> &caches)
{
    vector<Cell> cells;
    for (const auto &image : images) {
        Cell cell;
        cell.id = "build/tree/" + image + "/n1";
        cell.experiment = "build";
        cell.dataset = "tree";
        cell.filesystem = image;
        cell.driver = Driver::build;
        cell.timeout_s = 60;
        cell.workloads = {{{"id", "build"}, {"cache", caches}, {"repetitions", 2}}};
        cells.push_back(cell);
    }
    return cells;
}

const Measurement &row_of(const CellResult &result, const string &metric, const string &cache)
{
    for (const auto &row : result.measurements)
        if (row.metric == metric && row.cache == cache)
            return row;
    throw std::runtime_error("no " + metric);
}

TEST(BuildDriver, ToolsTakeTurnsAndEachRoundBeginsWithAnother)
{
    FakeHost host;
    const auto results = run_builds(cells_of({"a", "b"}, {"cold", "warm"}), 10, host);
    EXPECT_EQ(host.calls, (vector<string>{"drop", "a", "drop", "b", "drop", "b", "drop", "a", // cold
                                          "a", "b",                                           // not counted
                                          "a", "b", "b", "a"}));
    ASSERT_EQ(results.size(), 2U);
    const auto &cold = row_of(results[1], "build_seconds", "cold");
    EXPECT_EQ(cold.samples, (vector<double>{1, 2}));
    EXPECT_EQ(cold.clock, "host-wall");
    EXPECT_EQ(cold.filesystem, "b");
    EXPECT_EQ(row_of(results[1], "build_seconds", "warm").samples, (vector<double>{4, 5}));
    EXPECT_EQ(row_of(results[0], "build_cpu_seconds", "warm").clock, "host-cpu");
    EXPECT_EQ(row_of(results[0], "check_seconds", "warm").samples, (vector<double>{40, 50}));
    EXPECT_THROW(row_of(results[0], "check_seconds", "cold"), std::runtime_error);
    EXPECT_THROW(row_of(results[1], "check_seconds", "warm"), std::runtime_error) << "has no check";
    EXPECT_EQ(row_of(results[0], "peak_memory_per_file_bytes", "warm").samples, (vector<double>{100, 100}));
    EXPECT_EQ(results[0].proof.at("cold"), "dropped");
    EXPECT_EQ(results[0].proof.at("equal_images"), true);
}

TEST(BuildDriver, OneThatFailsLeavesTheOthers)
{
    FakeHost host;
    host.broken = "a";
    const auto results = run_builds(cells_of({"a", "b"}, {"warm"}), 10, host);
    EXPECT_EQ(results[0].status, "failed");
    EXPECT_EQ(results[0].error, "no space");
    EXPECT_TRUE(results[0].measurements.empty());
    EXPECT_EQ(host.calls, (vector<string>{"a", "b", "b", "b"}));
    EXPECT_EQ(results[1].status, "ok");
}

TEST(BuildDriver, ImagesThatDifferAreToldOf)
{
    FakeHost host;
    host.fickle = "b";
    const auto results = run_builds(cells_of({"a", "b"}, {"cold"}), 10, host);
    EXPECT_EQ(results[0].proof.at("equal_images"), true);
    EXPECT_EQ(results[1].proof.at("equal_images"), false);
}

/// Really run: a tool of two seconds' sleep and 40 MB, a failing one, one that writes nothing.
class Measured : public testing::Test {
protected:
    Measured()
    {
        dataset_.dir = dir_.path() / "tree";
        fs::create_directory(dataset_.dir);
        std::ofstream(dataset_.dir / "file") << "some bytes";
    }

    CellResult run(const string &script, const string &check = "")
    {
        ImageTool tool{"/bin/sh", {"sh", "-c", script, "{source}", "{out}"}, "1"};
        if (!check.empty())
            tool.check = {"sh", "-c", check, "{out}"};
        const auto host =
            make_build_host(dataset_, {{"tool", tool}},
                            {DAXBENCH_MEASURED, dir_.path(), dir_.path() / "logs", [](auto &, auto &) {}});
        return run_builds(cells_of({"tool"}, {check.empty() ? "cold" : "warm"}), 2, *host).at(0);
    }

    TempDir dir_;
    Dataset dataset_;
};

TEST_F(Measured, WhatAToolTook)
{
    const auto result = run("sleep 0.3; dd if=/dev/zero of=\"$1\" bs=40M count=1 2>/dev/null");
    ASSERT_EQ(result.status, "ok") << result.error;
    const double seconds = median(row_of(result, "build_seconds", "cold").samples);
    EXPECT_GE(seconds, 0.3);
    EXPECT_LT(seconds, 20);
    EXPECT_LE(median(row_of(result, "build_cpu_seconds", "cold").samples), seconds);
    const double peak = median(row_of(result, "peak_memory_bytes", "cold").samples);
    EXPECT_GE(peak, 40 << 20);
    EXPECT_LT(peak, 80 << 20);
    EXPECT_EQ(median(row_of(result, "image_bytes", "cold").samples), 40 << 20);
    // Nothing of an image stays.
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 2) << "tree and logs";
}

TEST_F(Measured, SmallToolsAreNotChargedForTheBench)
{
    const vector<char> ballast(100 << 20, 'x');
    const auto result = run("echo image > \"$1\"");
    ASSERT_EQ(result.status, "ok") << result.error;
    EXPECT_LT(median(row_of(result, "peak_memory_bytes", "cold").samples), ballast.size() / 4);
}

TEST_F(Measured, AndWhatItsCheckTook)
{
    const string make = "echo image > \"$1\"";
    const auto result = run(make, "sleep 0.3; grep -q image \"$0\"");
    ASSERT_EQ(result.status, "ok") << result.error;
    const auto &seconds = row_of(result, "check_seconds", "warm").samples;
    ASSERT_EQ(seconds.size(), 2U);
    EXPECT_GE(seconds[0], 0.3);
    EXPECT_LT(median(row_of(result, "build_seconds", "warm").samples), seconds[0]);
    EXPECT_NE(run(make, "echo damaged >&2; exit 4").error.find("exit status 4: damaged"), string::npos);
}

TEST_F(Measured, FailuresAreTheTools)
{
    EXPECT_NE(run("echo no such thing >&2; exit 3").error.find("exit status 3: no such thing"), string::npos);
    EXPECT_NE(run("kill -9 $$").error.find("killed by signal 9"), string::npos);
    EXPECT_NE(run("true").error.find("No such file"), string::npos);
}

} // namespace
} // namespace daxbench
