// SPDX-License-Identifier: Apache-2.0
// A run goes on where it stopped, and comes together from parts: by the command line, on the suite that needs
// no guest and its smallest dataset.
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli.hpp"
#include "files.hpp"
#include "run_record.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;
using std::vector;

struct Ran {
    int status = 0;
    string out;
    string err;
};

Ran cli(const vector<string> &args)
{
    std::ostringstream out;
    std::ostringstream err;
    const int status = run_cli(args, {out, err, 0});
    return {status, out.str(), err.str()};
}

json results_of(const fs::path &run)
{
    return json::parse(read_file(run / "results.json"));
}

/// What a run has measured, but for times, which are the host's.
json measured(const fs::path &run)
{
    auto rows = json::array();
    const auto results = results_of(run);
    for (const auto &row : results.at("measurements"))
        if (row.at("unit") == "bytes" && row.at("metric") == "image_bytes")
            rows.push_back(row);
    return rows;
}

class RunAgain : public testing::Test {
protected:
    /// The run that was made; images of the tools daxfs and erofs-4k.
    fs::path run(const vector<string> &more = {})
    {
        vector<string> args{"image-build",  "--profile",     "smoke",         "--results",
                            root_.string(), "--filesystems", "daxfs,erofs-4k"};
        args.insert(args.end(), more.begin(), more.end());
        last_ = cli(args);
        return newest();
    }

    fs::path merge(const vector<fs::path> &runs)
    {
        vector<string> args{"merge"};
        for (const auto &one : runs)
            args.push_back(one.string());
        args.insert(args.end(), {"--results", root_.string()});
        last_ = cli(args);
        return newest();
    }

    fs::path newest() const
    {
        fs::path found;
        for (const auto &entry : fs::directory_iterator(root_))
            if (entry.is_directory() && !entry.is_symlink() && entry.path() > found)
                found = entry.path();
        return found;
    }

    static fs::path cell(const fs::path &run, const string &image)
    {
        return run / "cells" / ("build_fewfiles_" + image + "_n1.json");
    }

    const TempDir dir_;
    const fs::path root_ = dir_.path();
    Ran last_;
};

TEST_F(RunAgain, FinishedCellsAreNotTouchedAndOthersRun)
{
    const auto made = run();
    ASSERT_TRUE(fs::exists(made / "results.json")) << last_.err;
    const auto before = measured(made);
    const auto kept = read_file(cell(made, "daxfs"));
    const auto written = fs::last_write_time(cell(made, "daxfs"));
    // As a power cut leaves it.
    fs::remove(cell(made, "erofs-4k"));
    fs::remove(made / "results.json");

    last_ = cli({"resume", made.string()});
    EXPECT_NE(last_.err.find("resumed: 1 of 2 cells are finished and stay"), string::npos) << last_.err;
    EXPECT_EQ(read_file(cell(made, "daxfs")), kept);
    EXPECT_EQ(fs::last_write_time(cell(made, "daxfs")), written);
    EXPECT_EQ(measured(made), before);
    const auto about = results_of(made).at("run");
    EXPECT_EQ(about.at("status"), "complete");
    ASSERT_EQ(about.at("resumed").size(), 1U);
    EXPECT_EQ(about.at("resumed")[0].at("kept"), 1);
    EXPECT_NE(read_file(made / "report.md").find("1 finished cells stayed as they were"), string::npos);

    cli({"resume", made.string()});
    EXPECT_EQ(results_of(made).at("run").at("resumed").size(), 2U) << "each time is told";
}

TEST_F(RunAgain, WhatWasMeasuredOnOtherThingsIsNotMixed)
{
    const auto made = run();
    const auto results = read_file(made / "results.json");
    auto document = json::parse(read_file(cell(made, "daxfs")));
    document["inputs"]["commit"] = "0000";
    write_file(cell(made, "daxfs"), document.dump());
    last_ = cli({"resume", made.string()});
    EXPECT_EQ(last_.status, 1);
    EXPECT_NE(
        last_.err.find("build/fewfiles/daxfs/n1 was measured with, now it is another: commit: 0000 and "),
        string::npos)
        << last_.err;
    EXPECT_EQ(read_file(made / "results.json"), results) << "nothing was written";
}

TEST_F(RunAgain, ARunInProgressIsNotResumed)
{
    const auto made = run();
    const RunLock lock(made);
    last_ = cli({"resume", made.string()});
    EXPECT_EQ(last_.status, 1);
    EXPECT_NE(last_.err.find("another one is measuring into it"), string::npos) << last_.err;
}

TEST_F(RunAgain, PartsMakeAWhole)
{
    const auto whole = run();
    const auto one = run({"--only", "build/fewfiles/daxfs/n1"});
    const auto two = run({"--only", "build/fewfiles/erofs-4k/n1"});
    const auto merged = merge({two, one});
    EXPECT_EQ(measured(merged), measured(whole)) << last_.err;
    EXPECT_EQ(results_of(merged).at("cells").size(), 2U);
    EXPECT_EQ(results_of(merged).at("run").at("merged").size(), 2U);
    EXPECT_EQ(read_file(cell(merged, "daxfs")), read_file(cell(one, "daxfs")));
    EXPECT_EQ(results_of(merged).at("environment").at("git"), results_of(whole).at("environment").at("git"));
}

TEST_F(RunAgain, MissingCellsAreNamedAndCanBeMeasured)
{
    const auto one = run({"--only", "build/fewfiles/daxfs/n1"});
    const auto nothing = run({"--only", "build/fewfiles/erofs-4k/n1"});
    fs::remove(cell(nothing, "erofs-4k"));
    const auto merged = merge({one, nothing});
    EXPECT_EQ(last_.status, 1);
    EXPECT_NE(last_.err.find("missing: build/fewfiles/erofs-4k/n1"), string::npos) << last_.err;
    EXPECT_EQ(results_of(merged).at("run").at("status"), "partial");
    cli({"resume", merged.string()});
    EXPECT_EQ(results_of(merged).at("run").at("status"), "complete");
}

TEST_F(RunAgain, RunsThatDoNotFitAreRefused)
{
    const auto one = run({"--only", "build/fewfiles/daxfs/n1"});
    const auto seeded = run({"--only", "build/fewfiles/erofs-4k/n1", "--seed", "2"});
    const auto count = std::distance(fs::directory_iterator(root_), fs::directory_iterator());
    const auto refused = [&](const vector<fs::path> &runs, const string &why) {
        merge(runs);
        EXPECT_EQ(last_.status, 1);
        EXPECT_NE(last_.err.find(why), string::npos) << last_.err;
    };
    refused({one, seeded}, "differ in seed: 1 and 2");
    refused({one, one}, "have measured it: leave one of them out");
    refused({one}, "expected two runs or more");
    auto record = read_record(seeded);
    std::erase(record.command, "--seed");
    std::erase(record.command, "2");
    write_record(seeded, record);
    auto document = json::parse(read_file(cell(seeded, "erofs-4k")));
    document["inputs"]["accelerator"] = "kvm";
    write_file(cell(seeded, "erofs-4k"), document.dump());
    refused({one, seeded}, "differs in accelerator: none and kvm");
    EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), count)
        << "no half a run is left";
}

TEST_F(RunAgain, AFolderThatIsNoRunIsNamed)
{
    last_ = cli({"resume", root_.string()});
    EXPECT_EQ(last_.status, 1);
    EXPECT_NE(last_.err.find("expected the folder of a run, with run.json in it"), string::npos) << last_.err;
    EXPECT_EQ(cli({"image-build", "--profile", "smoke", "--shard", "2/1"}).status, 2);
    EXPECT_EQ(cli({"image-build", "--profile", "smoke", "--shard", "9/9"}).status, 2) << "no cells are left";
}

} // namespace
} // namespace daxbench
