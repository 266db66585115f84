// SPDX-License-Identifier: Apache-2.0
// From a guest's answers to results.json: drivers on a fake guest, composition, schema, table.
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>

#include <gtest/gtest.h>

#include "cache.hpp"
#include "cli.hpp"
#include "driver.hpp"
#include "limits.hpp"
#include "results.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;

using Answers = std::map<string, std::function<json(const json &)>>;

json memory_answer(double page_cache)
{
    return {{"page_cache", page_cache},
            {"buffers", 10},
            {"slab", 100},
            {"anonymous", 50},
            {"mem_free", (1 << 20) - page_cache}};
}

json run_answer()
{
    return json::parse(R"({"results": [
        {"variant": "shared", "cache": "warm", "metric": "cost_per_op", "per": "page",
         "samples": [15.5, 14.5, 15], "operations": 1000,
         "counters": {"page-faults": [2, 2, 2], "cycles": {"unavailable": "no PMU"}},
         "extra": {"faults": {"unit": "faults", "samples": [2, 2, 2]},
                   "latency": {"unit": "ns", "samples": [3]}}}],
        "raw": {"benchmarks": []}})");
}

/// Answers from a table; records what it was asked.
class FakeGuest : public GuestSession {
public:
    FakeGuest(const Answers &answers, const std::vector<Request> &script, std::vector<string> &calls,
              std::mutex &mutex)
        : answers_(answers), script_(script), calls_(calls), mutex_(mutex)
    {
    }
    using GuestSession::call;
    const json &hello() const override { return hello_; }
    json call(const string &op, const json &args, Seconds) override
    {
        {
            const std::lock_guard lock(mutex_);
            calls_.push_back(op);
        }
        if (made_ < script_.size()) { // as the real one does
            EXPECT_EQ((Request{op, args}), script_[made_]);
        }
        ++made_;
        if (op == "memory")
            return memory_answer(memory_calls_++ == 0 ? 1000 : 1500);
        const auto answer = answers_.find(op);
        return answer == answers_.end() ? json::object() : answer->second(args);
    }
    void shutdown() override { call("shutdown", json(), Seconds(0)); }
    HostMemory host_memory() const override
    {
        HostMemory memory;
        memory.total = {4000, 3000};
        memory.image = {1000, 500};
        memory.ram = {2000, 2000};
        return memory;
    }
    const Argv &command() const override { return command_; }

private:
    const Answers &answers_;
    std::vector<Request> script_;
    std::size_t made_ = 0;
    std::vector<string> &calls_;
    std::mutex &mutex_;
    int memory_calls_ = 0;
    json hello_ = {{"kernel", "6.12"}, {"cpu_model", "max"}, {"clocksource", "tsc"}};
    Argv command_{"qemu"};
};

class FakeHost : public GuestHost {
public:
    std::unique_ptr<GuestSession> boot(const Cell &, int instance,
                                       const std::vector<Request> &script) override
    {
        if (instance == broken_instance)
            throw std::runtime_error("no hello within 60 s");
        return std::make_unique<FakeGuest>(answers, script, calls, mutex_);
    }
    void step(const Cell &, const string &) override {}

    Answers answers{{"prove",
                     [](const json &) {
                         return json{{"statx_dax", true}};
                     }},
                    {"run", [](const json &) { return run_answer(); }}};
    std::vector<string> calls;
    int broken_instance = -1;

private:
    std::mutex mutex_;
};

CellInput input_of(Driver driver, int instances)
{
    CellInput input;
    input.cell.experiment = driver == Driver::single ? "latency" : "duplication";
    input.cell.dataset = "rootfs";
    input.cell.filesystem = "daxfs";
    input.cell.instances = instances;
    input.cell.id = input.cell.experiment + "/rootfs/daxfs/n" + std::to_string(instances);
    input.cell.driver = driver;
    input.cell.timeout_s = 5;
    input.cell.memory_mib = 1;
    input.cell.workloads = {
        json{{"id", driver == Driver::single ? "mmap-touch-seq" : "read-all"}, {"engine", "e"}}};
    input.filesystem.type = "daxfs";
    input.filesystem.medium = "pmem";
    input.filesystem.external_module = "daxfs";
    input.filesystem.image = "daxfs";
    input.data_bytes = 8192;
    return input;
}

const Measurement &named(const CellResult &result, const string &metric)
{
    for (const auto &row : result.measurements)
        if (row.metric == metric)
            return row;
    throw std::runtime_error("no metric " + metric);
}

TEST(SingleDriver, MeasuresAndPowersOff)
{
    FakeHost host;
    const auto result = run_cell(input_of(Driver::single, 1), host);
    EXPECT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(host.calls,
              (std::vector<string>{"load", "mount", "prove", "dmesg", "run", "dmesg", "shutdown"}));
    const auto &cost = named(result, "cost_per_op");
    EXPECT_EQ(cost.unit, "instructions");
    EXPECT_EQ(cost.clock, "instructions");
    EXPECT_EQ(median(cost.samples), 15);
    EXPECT_EQ(named(result, "faults").unit, "faults");
    EXPECT_EQ(named(result, "faults").clock, "none");
    EXPECT_EQ(named(result, "latency").unit, "instructions");
}

TEST(SingleDriver, UnderKvmNanosecondsAreNanoseconds)
{
    FakeHost host;
    auto input = input_of(Driver::single, 1);
    input.clock = "ns";
    EXPECT_EQ(named(run_cell(input, host), "cost_per_op").unit, "ns");
}

TEST(SingleDriver, FailedProofPublishesNothing)
{
    FakeHost host;
    host.answers["prove"] = [](const json &) -> json {
        throw std::runtime_error("expected DAX on /mnt/x, STATX_ATTR_DAX is not set");
    };
    const auto result = run_cell(input_of(Driver::single, 1), host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_EQ(result.error, "expected DAX on /mnt/x, STATX_ATTR_DAX is not set");
    EXPECT_TRUE(result.measurements.empty());
    EXPECT_EQ(std::count(host.calls.begin(), host.calls.end(), "run"), 0);
}

TEST(SingleDriver, KernelWarningFailsTheCell)
{
    FakeHost host;
    host.answers["dmesg"] = [](const json &) {
        return json{{"lines", {{{"level", 4}, {"text", "WARNING: CPU: 0 PID: 1 at fs/dax.c:1"}}}}};
    };
    const auto result = run_cell(input_of(Driver::single, 1), host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_NE(result.error.find("WARNING: CPU: 0"), string::npos);
    EXPECT_TRUE(result.measurements.empty());
}

TEST(SingleDriver, ADeclaredKernelWarningIsListed)
{
    const auto chunks =
        load_catalogue(own_paths().source / "workloads").filesystems.at("erofs-dax-chunks").kernel_warnings;
    // As Linux 6.12 and 7.3 print it.
    for (const string line : {"WARNING: CPU: 0 PID: 1 at fs/dax.c:396 dax_disassociate_entry+0x48/0xb0",
                              "WARNING: fs/dax.c:498 at dax_insert_entry+0x1a0/0x2c0, CPU#0: agent/1"}) {
        FakeHost host;
        host.answers["dmesg"] = [&](const json &) { return json{{"lines", json::array({line})}}; };
        auto input = input_of(Driver::single, 1);
        EXPECT_EQ(run_cell(input, host).status, "failed");
        input.filesystem.kernel_warnings = chunks;
        const auto result = run_cell(input, host);
        EXPECT_EQ(result.status, "ok") << result.error;
        EXPECT_EQ(result.proof.at("kernel_warnings").at(0), line);
    }
}

TEST(InstancesDriver, DeclaredWarningsOfAllGuestsAreListed)
{
    FakeHost host;
    host.answers["dmesg"] = [](const json &) {
        return json{{"lines", json::array({"WARNING: fs/dax.c:1 at x"})}};
    };
    auto input = input_of(Driver::instances, 3);
    input.filesystem.kernel_warnings = {"fs/dax.c:"};
    const auto result = run_cell(input, host);
    EXPECT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(result.proof.at("kernel_warnings").size(), 3U);
}

TEST(SingleDriver, OneFailedWorkloadLeavesTheOthers)
{
    FakeHost host;
    auto input = input_of(Driver::single, 1);
    input.cell.workloads.push_back(json{{"id", "stat"}, {"engine", "e"}});
    host.answers["run"] = [](const json &args) -> json {
        if (args.at("workload").at("id") == "stat")
            throw AgentError("no such file");
        return run_answer();
    };
    const auto result = run_cell(input, host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_EQ(result.error, "stat: no such file");
    EXPECT_EQ(median(result.measurements.front().samples), 15);
    EXPECT_EQ(result.measurements.back().error, "no such file");
    EXPECT_TRUE(to_json(result.measurements.back()).at("value").is_null());
}

TEST(SingleDriver, AnswerOfAnotherFormIsAnError)
{
    FakeHost host;
    host.answers["run"] = [](const json &) { return json{{"results", json::array()}}; };
    const auto result = run_cell(input_of(Driver::single, 1), host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_NE(result.error.find("expected measured samples"), string::npos) << result.error;
}

TEST(KernelLog, HarmlessLinesPass)
{
    EXPECT_EQ(kernel_complaint(json{"x: loading out-of-tree module taints kernel.",
                                    "pmem0: detected capacity change", "DEBUG: on"}),
              "");
    for (const string line :
         {"BUG: KASAN: use-after-free in f", "BUG daxfs_inode (Tainted: G  O): Object padding",
          "kernel BUG at mm/slub.c:1!", "WARNING: possible recursive locking detected",
          "WARNING: CPU: 0 PID: 1 at fs/inode.c:1", "INFO: task sh:1 blocked for more than 120 s",
          "BUG: sleeping function called from invalid context at f", "UBSAN: shift-out-of-bounds",
          "kmemleak: 1 new suspected memory leaks", "unreferenced object 0xffff8880 (size 64):",
          "WARNING: suspicious RCU usage", "INFO: trying to register non-static key."})
        EXPECT_EQ(kernel_complaint(json{"fine", line}), line);
}

TEST(InstancesDriver, ComputesDuplication)
{
    FakeHost host;
    host.answers["run"] = [](const json &) {
        auto answer = run_answer();
        answer["data_pages"] = 2;
        answer["whole"] = true;
        return answer;
    };
    const auto result = run_cell(input_of(Driver::instances, 2), host);
    ASSERT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(named(result, "page_cache_bytes").samples, (std::vector<double>{500, 500}));
    EXPECT_EQ(named(result, "guest_held_bytes").samples, (std::vector<double>{1500, 1500}));
    EXPECT_EQ(named(result, "host_pss_data_bytes").samples, std::vector<double>{5000});
    EXPECT_EQ(named(result, "host_pss_bytes").samples, std::vector<double>{6000});
    EXPECT_EQ(named(result, "host_pss_image_bytes").samples, std::vector<double>{1000});
    // (2 × 500 in the guests + 2 × 500 of the image on the host) / 8192
    EXPECT_EQ(named(result, "duplication_factor").samples, std::vector<double>{2000.0 / 8192});
    EXPECT_EQ(std::count(host.calls.begin(), host.calls.end(), "shutdown"), 2);
}

TEST(InstancesDriver, EachBootIsASampleAndEachWorkloadARow)
{
    FakeHost host;
    auto input = input_of(Driver::instances, 2);
    input.cell.boots = 3;
    input.cell.workloads.insert(input.cell.workloads.begin(), json{{"id", "start-shell"}, {"engine", "e"}});
    host.answers["run"] = [](const json &args) {
        auto answer = run_answer();
        if (args.at("workload").at("id") == "read-all")
            answer["data_pages"] = 1;
        return answer;
    };
    const auto result = run_cell(input, host);
    ASSERT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(named(result, "page_cache_bytes").samples.size(), 6U); // of each guest
    EXPECT_EQ(named(result, "host_pss_data_bytes").samples, (std::vector<double>(3, 5000)));
    std::vector<string> of;
    for (const auto &row : result.measurements)
        if (row.metric == "host_pss_data_bytes" || row.metric == "duplication_factor")
            of.push_back(row.workload + " " + row.metric);
    EXPECT_EQ(of, (std::vector<string>{"start-shell host_pss_data_bytes", "read-all host_pss_data_bytes",
                                       "read-all duplication_factor"}));
    EXPECT_EQ(named(result, "duplication_factor").samples, (std::vector<double>(3, 2000.0 / 4096)));
    EXPECT_EQ(std::count(host.calls.begin(), host.calls.end(), "shutdown"), 6);
}

TEST(InstancesDriver, AGuestThatReadLessThanAllFailsTheCell)
{
    FakeHost host;
    host.answers["run"] = [](const json &) {
        auto answer = run_answer();
        answer["data_pages"] = 1;
        answer["whole"] = true;
        return answer;
    };
    const auto result = run_cell(input_of(Driver::instances, 2), host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_EQ(result.error, "expected the guest to read all 8192 bytes of the dataset, it read 4096");
}

TEST(InstancesDriver, OneDeadGuestFailsTheCellAndHangsNobody)
{
    FakeHost host;
    host.broken_instance = 1;
    const auto result = run_cell(input_of(Driver::instances, 3), host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_EQ(result.error, "no hello within 60 s");
    EXPECT_TRUE(result.measurements.empty());
}

TEST(Median, OddAndEven)
{
    EXPECT_EQ(median({3, 1, 2}), 2);
    EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

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

TEST(InstancesDriver, EveryMetricIsDeclared)
{
    FakeHost host;
    const auto catalogue = load_catalogue(own_paths().source / "workloads");
    for (const auto &row : run_cell(input_of(Driver::instances, 2), host).measurements)
        EXPECT_TRUE(catalogue.metrics.contains(row.metric)) << row.metric;
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
    EXPECT_NE(err.find("expected a suite, got \"no-such-suite\"; there are: erofs-vs-daxfs"), string::npos)
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
