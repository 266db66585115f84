// SPDX-License-Identifier: Apache-2.0
// The experiments on memory, run as a user does: sums that close, and an image that is overwritten.
#include <cmath>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "files.hpp"
#include "harness.hpp"

namespace {

namespace fs = std::filesystem;
using daxtest::bench;
using daxtest::json;

/// One experiment on one filesystem: results and the documents of its cells.
struct Finished {
    json results;
    std::vector<json> cells;

    /// By metric, of one workload.
    std::map<std::string, double> of(const std::string &workload) const
    {
        std::map<std::string, double> values;
        for (const auto &row : results.at("measurements"))
            if (row.at("workload") == workload && row.at("value").is_number())
                values[row.at("metric")] = row.at("value");
        return values;
    }
};

Finished run_experiment(const std::string &experiment, const std::string &only)
{
    const daxbench::TempDir dir;
    const auto workloads = dir.path() / "workloads";
    fs::copy(bench().source / "workloads", workloads, fs::copy_options::recursive);
    daxbench::write_file(workloads / "suites/tried.toml",
                         "id = \"tried\"\nsubject = \"daxfs\"\nexperiments = [\"" + experiment +
                             "\"]\n[profile.default]\nrepetitions = 1\n");
    daxbench::CommandOptions options;
    options.timeout = daxbench::Seconds(600);
    const auto ran = daxbench::run_command({(bench().build / "bench/host/daxbench").string(), "tried",
                                            "--workloads", workloads.string(), "--only", only, "--results",
                                            (dir.path() / "results").string()},
                                           options);
    EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
    const auto run = dir.path() / "results/latest";
    Finished finished{json::parse(std::ifstream(run / "results.json")), {}};
    for (const auto &entry : fs::directory_iterator(run / "cells"))
        finished.cells.push_back(json::parse(std::ifstream(entry.path())));
    return finished;
}

/// Relative to the larger.
double apart(double a, double b)
{
    return std::abs(a - b) / std::max(a, b);
}

TEST(Bench, EveryFrameOfAGuestIsAccountedFor)
{
    const auto finished = run_experiment("frames", "frames/rootfs/daxfs/*");
    for (const std::string workload : {"frames-read", "frames-mapped"}) {
        const auto bytes = finished.of(workload);
        EXPECT_LE(bytes.at("unaccounted_ratio"), 0.01) << workload;
        EXPECT_LE(bytes.at("host_unaccounted_ratio"), 0.01) << workload;
        double sum = bytes.at("unaccounted_bytes");
        for (const auto &[metric, value] : bytes)
            if (metric.starts_with("frames_") && metric != "frames_total_bytes")
                sum += value;
        EXPECT_EQ(sum, bytes.at("frames_total_bytes")) << workload;
        EXPECT_EQ(bytes.at("page_cache_tree_bytes"), 0) << "DAXFS fills no page cache";
    }
    // What was counted frame by frame, against what the kernel keeps count of.
    const auto &raw = finished.cells.at(0).at("raw").at(0).at("answer").at("raw");
    const auto bytes = finished.of("frames-read");
    const auto kernel = [&](const char *name) { return raw.at("checks").at(name).get<double>(); };
    EXPECT_LT(apart(bytes.at("frames_free_bytes"), kernel("MemFree and the CPUs' lists")), 0.01);
    EXPECT_LT(apart(bytes.at("frames_page_cache_bytes"), kernel("Cached and Buffers")), 0.05);
    double slabs = 0;
    for (const auto &[name, size] : raw.at("slabs").items())
        slabs += size.get<double>();
    EXPECT_LT(apart(bytes.at("frames_slab_bytes"), slabs), 0.02);
    const auto mapped = finished.of("frames-mapped");
    EXPECT_GT(mapped.at("process_pmem_bytes"), 0);
    EXPECT_EQ(mapped.at("process_page_cache_bytes"), 0);
    EXPECT_EQ(mapped.at("rss_missing_bytes"), mapped.at("present_bytes") - mapped.at("rss_bytes"));
}

TEST(Bench, AnImageIsOverwrittenWhileItIsUsed)
{
    for (const std::string guests : {"n1", "n2"}) {
        const auto finished = run_experiment("hostile-memory", "hostile-memory/rootfs/daxfs/" + guests);
        for (const std::string workload : {"overwrite-bytes", "overwrite-metadata", "swap-image"}) {
            const auto counts = finished.of(workload);
            EXPECT_EQ(counts.at("kernel_deaths"), 0) << workload;
            EXPECT_EQ(counts.at("kernel_complaints"), 0) << workload;
            EXPECT_EQ(counts.at("hangs"), 0) << workload;
            EXPECT_EQ(counts.at("foreign_bytes"), 0) << workload;
            // It was read, and what was read had been written over.
            EXPECT_GT(counts.at("hostile_accesses"), 1000) << workload;
            EXPECT_GT(counts.at("mutations"), 0) << workload;
            EXPECT_GT(counts.at("failed_accesses") + counts.at("changed_reads"), 0) << workload;
        }
    }
}

} // namespace
