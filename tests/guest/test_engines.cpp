// SPDX-License-Identifier: Apache-2.0
// Engines that only a guest can run, on DAXFS: computing with mapped data, little memory, what a mount gives
// back, several processes at once. What the host wrote is what the guest's reader finds.
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "accelerator_data.hpp"
#include "harness.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::json;

constexpr std::uint64_t slots = 1 << 20; // 16 MiB
constexpr std::uint64_t model_bytes = 4096 * 1024 * 4;

class Engines : public daxtest::GuestTest {
protected:
    void SetUp() override
    {
        const auto tree = dir_.path() / "tree";
        fs::create_directories(tree);
        daxbench::write_safetensors(tree / "model.safetensors", {{"w", {4096, 1024}}}, 1);
        daxbench::write_probe_table(tree / "table.bin", slots);
        daxtest::make_image(tree, image_);
        boot("pmem", {"daxfs"});
        daxtest::mount(*guest_);
    }

    /// Its rows by variant (and "/cold" where it is).
    std::map<std::string, json> rows(const json &workload)
    {
        const auto answer =
            guest_->call("run", {{"target", daxtest::target}, {"workload", workload}}, Seconds(300));
        std::map<std::string, json> found;
        for (const auto &row : answer.at("results"))
            found[row.at("variant").get<std::string>() + (row.value("cache", "") == "cold" ? "/cold" : "")] =
                row;
        return found;
    }

    static double extra(const json &row, const char *metric)
    {
        return row.at("extra").at(metric).at("samples").at(0).get<double>();
    }
};

TEST_F(Engines, ComputeWhereTheDataLies)
{
    const json workload = {{"engine", "compute"},
                           {"task", "load-tensors"},
                           {"file", "model.safetensors"},
                           {"cache", {"cold", "warm"}},
                           {"processes", 3}};
    const auto found = rows(workload);
    ASSERT_EQ(found.size(), 4U);
    const auto &first = found.at("first/cold");
    EXPECT_GE(extra(first, "frames_pmem_bytes"), model_bytes);
    EXPECT_LE(extra(first, "frames_pmem_bytes"), model_bytes + (2 << 20)) << "of three processes, each once";
    EXPECT_EQ(extra(first, "frames_page_cache_bytes"), 0);
    EXPECT_GT(extra(first, "minor_faults"), 0);
    EXPECT_EQ(extra(found.at("again/cold"), "minor_faults"), 0);

    const auto probed =
        rows({{"engine", "compute"}, {"task", "probe-table"}, {"file", "table.bin"}, {"operations", 1000}});
    EXPECT_EQ(probed.at("first").at("operations"), 1);
    auto wrong = workload;
    wrong["expect"] = "0 tensors";
    EXPECT_THROW(rows(wrong), std::runtime_error);
    finish();
}

TEST_F(Engines, TakeMemoryAwayAndSayWhatItDid)
{
    const auto found = rows({{"engine", "pressure"}, {"room_percent", 50}});
    ASSERT_EQ(found.size(), 2U);
    for (const auto &[variant, row] : found) {
        ASSERT_TRUE(row.contains("samples")) << row;
        EXPECT_EQ(extra(row, "refaulted_bytes"), 0) << variant;
        EXPECT_EQ(extra(row, "major_faults"), 0) << variant;
    }
    finish();
}

TEST_F(Engines, SeeWhatAMountGivesBack)
{
    const auto found = rows({{"engine", "memory-return"}});
    ASSERT_EQ(found.size(), 4U);
    EXPECT_EQ(extra(found.at("used"), "page_cache_bytes"), 0);
    // What is free moves by some MiB in a guest that has just booted and counts no instructions.
    EXPECT_LE(std::abs(extra(found.at("unmounted"), "slab_bytes")), 1 << 20);
    finish();
}

TEST_F(Engines, CountLocksWaitedFor)
{
    const auto found =
        rows({{"engine", "concurrent"}, {"op", "fault"}, {"processes", 1}, {"operations", 100}});
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(extra(found.at("one-file"), "contentions"), 0) << "nobody else is there";
    EXPECT_THROW(rows({{"engine", "concurrent"}, {"op", "fault"}, {"processes", 64}}), std::runtime_error);
    finish();
}

} // namespace
