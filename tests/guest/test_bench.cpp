// SPDX-License-Identifier: Apache-2.0
// The bench as its user meets it: the program itself is run, with real guests.
#include <fstream>
#include <iostream>
#include <map>

#include <signal.h>

#include <gtest/gtest.h>

#include "cache.hpp"
#include "harness.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::CommandOptions;
using daxbench::CommandResult;
using daxbench::Seconds;
using daxtest::bench;
using daxtest::json;

daxbench::Argv command(std::vector<std::string> words)
{
    words.insert(words.begin(), (bench().build / "bench/host/daxbench").string());
    return words;
}

CommandResult run_bench(const std::vector<std::string> &words)
{
    CommandOptions options;
    options.timeout = Seconds(600);
    return daxbench::run_command(command(words), options);
}

json results_of(const fs::path &results)
{
    json found;
    for (const auto &entry : fs::directory_iterator(results))
        if (entry.is_directory() && !entry.is_symlink())
            found = json::parse(std::ifstream(entry.path() / "results.json"));
    return found;
}

fs::path only_run(const fs::path &results)
{
    for (const auto &entry : fs::directory_iterator(results))
        if (entry.is_directory() && !entry.is_symlink())
            return entry.path();
    return {};
}

/// Processes whose command line has `text` in it.
std::vector<std::string> processes_with(const std::string &text)
{
    std::vector<std::string> found;
    for (const auto &entry : fs::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "cmdline");
        std::string line((std::istreambuf_iterator<char>(file)), {});
        if (line.find(text) != std::string::npos)
            found.push_back(entry.path().filename().string() + ": " + line);
    }
    return found;
}

TEST(Bench, InstructionCountsRepeat)
{
    daxbench::TempDir dir;
    for (const std::string run : {"first", "second"}) {
        const auto result = run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--accel", "tcg", "--only",
                                       "latency/rootfs/daxfs/*", "--results", (dir.path() / run).string()});
        ASSERT_EQ(result.status, 0) << result.out << result.err;
        const auto results = results_of(dir.path() / run);
        EXPECT_EQ(results.at("run").at("status"), "complete");
        EXPECT_GT(results.at("measurements").size(), 8U);
    }
    CommandOptions options;
    options.timeout = Seconds(60);
    const auto compared = daxbench::run_command(
        {"/usr/bin/python3", (bench().source / "analysis/compare.py").string(),
         only_run(dir.path() / "first").string(), only_run(dir.path() / "second").string(), "--same",
         "--fail-above", "0.0001", "--unit", "instructions"},
        options);
    EXPECT_EQ(compared.status, 0) << compared.out << compared.err;
}

// The parts are of one run more, held at each brk(2); none of them may be lost to who runs first at its end.
TEST(Bench, ThePartsOfAProgramAddUp)
{
    daxbench::TempDir dir;
    const auto result = run_bench({"erofs-vs-daxfs", "--accel", "tcg", "--only",
                                   "program-start/rootfs/erofs-dax/*", "--results", dir.path().string()});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    std::map<std::string, double> whole;
    std::map<std::string, double> parts;
    const auto results = results_of(dir.path());
    for (const auto &row : results.at("measurements")) {
        const auto name = row.at("workload").get<std::string>() + " " + row.at("cache").get<std::string>();
        const auto metric = row.at("metric").get<std::string>();
        if (metric == "cost_per_op")
            whole[name] = row.at("value");
        else if (metric == "start_cost" || metric == "run_cost" || metric == "end_cost")
            parts[name] += row.at("value").get<double>();
    }
    EXPECT_EQ(whole.size(), 8U);
    for (const auto &[name, cost] : whole) {
        EXPECT_GE(parts[name], cost * 0.999) << name;
        EXPECT_LE(parts[name], cost * 1.1) << name;
    }
}

// Every instruction between the marks is some function's, and there are as many as the clock says.
TEST(Bench, ExplainAddsUpToTheRow)
{
    daxbench::TempDir dir;
    const auto result =
        run_bench({"explain", "program-start/rootfs/daxfs/n1", "program-start/rootfs/tmpfs/n1", "--workload",
                   "bash", "--cache", "warm", "--format", "json", "--results", dir.path().string()});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    const auto explained = json::parse(result.out);
    const auto &rows = explained.at("rows");
    ASSERT_EQ(rows.size(), 2U);
    double difference = 0;
    bool ran_daxfs = false;
    for (const auto &line : explained.at("lines")) {
        difference += line.at("a").get<double>() - line.at("b").get<double>();
        ran_daxfs = ran_daxfs || (line.at("module") == "daxfs" && line.at("a") > 0);
        EXPECT_FALSE(line.at("module") == "daxfs" && line.at("b") > 0) << line;
        EXPECT_GE(line.at("a").get<double>(), 0) << line;
    }
    EXPECT_TRUE(ran_daxfs);
    EXPECT_NEAR(difference, rows[0].at("counted").get<double>() - rows[1].at("counted").get<double>(), 1);
    for (const auto &row : rows) {
        const double clock = row.at("guest_clock");
        EXPECT_NEAR(row.at("counted").get<double>(), clock, clock * 1e-4) << row;
        EXPECT_NEAR(row.at("row").get<double>(), clock, clock * 5e-3) << row;
        EXPECT_GT(row.at("user_space").get<double>(), clock * 0.05) << row;
    }
}

// Counted by the kernel itself: a page cache must be seen to allocate where DAXFS does not.
TEST(Bench, AllocationsAreOfWhoMakesThem)
{
    daxbench::TempDir dir;
    const auto result = run_bench({"all-claims", "--accel", "tcg", "--only", "allocations/rootfs/*",
                                   "--filesystems", "daxfs,erofs-dax", "--results", dir.path().string()});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    std::map<std::string, double> value;
    const auto results = results_of(dir.path());
    for (const auto &row : results.at("measurements"))
        if (row.at("metric") == "allocations_per_op" || row.at("metric") == "page_table_pages_per_op")
            value[row.at("filesystem").get<std::string>() + " " + row.at("workload").get<std::string>() +
                  " " + row.at("variant").get<std::string>() + row.at("cache").get<std::string>() +
                  (row.at("metric") == "allocations_per_op" ? "" : " tables")] = row.at("value");
    EXPECT_EQ(value.at("daxfs alloc-read-4k warm"), 0);
    EXPECT_EQ(value.at("daxfs alloc-touch sharedcold"), 0);
    EXPECT_GT(value.at("erofs-dax alloc-touch sharedcold"), 0); // nodes of the mapping's tree
    EXPECT_GT(value.at("erofs-dax alloc-touch sharedcold tables"), 0);
    EXPECT_GE(value.at("daxfs alloc-open-close warm"), 1); // struct file
    EXPECT_GT(value.at("daxfs alloc-lookup cold"), value.at("daxfs alloc-stat warm"));
}

// docs/measuring.md's example: two files, no edit, and the rows are there.
TEST(Bench, AFilesystemIsAddedByFilesAlone)
{
    if (!daxbench::find_program("mke2fs"))
        GTEST_SKIP() << "needs the package e2fsprogs";
    const auto example = bench().source / "docs/examples/ext4-dax";
    daxbench::TempDir dir;
    const auto result =
        run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--with", (example / "image.toml").string(),
                   "--with", (example / "filesystem.toml").string(), "--only", "latency/rootfs/ext4-dax/*",
                   "--results", dir.path().string()});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    EXPECT_NE(result.out.find("ext4-dax"), std::string::npos) << result.out;
    const auto results = results_of(dir.path());
    ASSERT_EQ(results.at("cells").size(), 1U);
    EXPECT_EQ(results.at("cells")[0].at("status"), "ok") << results.at("errors");
    EXPECT_EQ(results.at("cells")[0].at("proof").at("statx_dax"), true);
}

CommandResult compare_with_reference(const fs::path &run, std::vector<std::string> options)
{
    std::vector<std::string> argv{"/usr/bin/python3",
                                  (bench().source / "analysis/compare.py").string(),
                                  (bench().source / "results/reference/smoke-6.12.json").string(),
                                  run.string(),
                                  "--only",
                                  "latency/* daxfs"};
    argv.insert(argv.end(), options.begin(), options.end());
    CommandOptions run_options;
    run_options.timeout = Seconds(60);
    return daxbench::run_command(argv, run_options);
}

// A slower read or fault is a red test that names the row. On another kernel package or dataset than the
// reference's only ratios to EROFS-DAX of the same run are comparable.
TEST(Bench, CostsNoMoreThanTheReference)
{
    daxbench::TempDir dir;
    const auto result = run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--accel", "tcg", "--only",
                                   "latency/rootfs/*daxfs*", "--results", (dir.path() / "daxfs").string()});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    const auto same = compare_with_reference(only_run(dir.path() / "daxfs"), {"--fail-above", "0.5%"});
    if (same.status != 2) {
        EXPECT_EQ(same.status, 0) << same.out;
        return;
    }
    ASSERT_NE(same.err.find("they differ in"), std::string::npos) << same.err;
    std::cout << same.err << "so ratios to erofs-dax are compared\n";
    const auto both = run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--accel", "tcg", "--only",
                                 "latency/rootfs/*dax*", "--results", (dir.path() / "both").string()});
    ASSERT_EQ(both.status, 0) << both.out << both.err;
    const auto ratios = compare_with_reference(only_run(dir.path() / "both"), {"--relative-to", "erofs-dax"});
    EXPECT_EQ(ratios.status, 0) << ratios.out << ratios.err;
}

TEST(Bench, WithoutAUsableKvmSaysSo)
{
    const auto kvm = run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--accel", "kvm", "--only",
                                "rss/*/daxfs/*", "--results", "/nonexistent/results"});
    if (kvm.err.find("kvm") == std::string::npos && kvm.err.find("KVM") == std::string::npos)
        GTEST_SKIP() << "KVM works here, so there is nothing to fall back from";
    EXPECT_EQ(kvm.status, 1) << kvm.out << kvm.err;

    daxbench::TempDir dir;
    const auto automatic = run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--accel", "auto", "--only",
                                      "rss/*/daxfs/*", "--results", dir.path().string()});
    ASSERT_EQ(automatic.status, 0) << automatic.out << automatic.err;
    const auto environment = results_of(dir.path()).at("environment");
    EXPECT_EQ(environment.at("accelerator"), "tcg");
    EXPECT_NE(environment.at("accelerator_reason").get<std::string>().find("kvm"), std::string::npos)
        << environment.at("accelerator_reason");
}

TEST(Bench, InterruptedLeavesNothingBehind)
{
    daxbench::TempDir dir;
    const auto results = dir.path() / "results";
    auto child = daxbench::Child::start(command({"erofs-vs-daxfs", "--profile", "smoke", "--only",
                                                 "latency/rootfs/*", "--results", results.string()}),
                                        {});
    // Until a guest of this run is up: its logs lie in the run's own folder.
    bool guest_runs = false;
    for (int i = 0; i < 600 && child.running() && !guest_runs; ++i) {
        guest_runs = processes_with(results.string()).size() > 1;
        usleep(100000);
    }
    ASSERT_TRUE(guest_runs) << "no guest came up";
    ::kill(child.pid(), SIGINT);
    ASSERT_TRUE(child.wait(std::chrono::steady_clock::now() + std::chrono::seconds(60)));
    EXPECT_EQ(processes_with(results.string()), std::vector<std::string>{});
    const auto written = results_of(results);
    EXPECT_EQ(written.at("run").at("status"), "interrupted");
    EXPECT_FALSE(fs::exists(results / "latest"));
}

TEST(Bench, ADaxCellOnADeviceWithoutDaxFails)
{
    daxbench::TempDir dir;
    const auto workloads = dir.path() / "workloads";
    fs::copy(bench().source / "workloads", workloads, fs::copy_options::recursive);
    const auto declaration = workloads / "filesystems/erofs-dax.toml";
    auto text = daxbench::read_file(declaration);
    const std::string pmem = "medium = \"pmem\"";
    ASSERT_NE(text.find(pmem), std::string::npos);
    text.replace(text.find(pmem), pmem.size(), "medium = \"nvdimm-nodax\"");
    daxbench::write_file(declaration, text);

    const auto results_dir = dir.path() / "results";
    const auto run = run_bench({"erofs-vs-daxfs", "--profile", "smoke", "--workloads", workloads.string(),
                                "--only", "rss/rootfs/erofs-dax/*", "--results", results_dir.string()});
    EXPECT_EQ(run.status, 1) << run.out << run.err;
    const auto results = results_of(results_dir);
    const auto &cell = results.at("cells").at(0);
    EXPECT_EQ(cell.at("status"), "failed");
    EXPECT_NE(cell.at("error").get<std::string>().find("STATX_ATTR_DAX is not set"), std::string::npos)
        << cell.dump();
    for (const auto &measurement : results.at("measurements"))
        EXPECT_NE(measurement.at("filesystem"), "erofs-dax") << measurement.dump();
}

TEST(Bench, UsageErrorsHaveStatusTwo)
{
    EXPECT_EQ(run_bench({"no-such-suite"}).status, 2);
    EXPECT_EQ(run_bench({"erofs-vs-daxfs", "--filesystems", "nofs"}).status, 2);
    EXPECT_EQ(run_bench({"erofs-vs-daxfs", "--nonsense"}).status, 2);
    const auto result = run_bench({"erofs-vs-daxfs", "--profile", "hasty"});
    EXPECT_EQ(result.status, 2);
    EXPECT_NE(result.err.find("hasty"), std::string::npos) << result.err;
}

} // namespace
