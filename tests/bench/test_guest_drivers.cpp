// SPDX-License-Identifier: Apache-2.0
// The drivers single and instances, on fake guests: what they measure, and what fails a cell.
#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "driver.hpp"
#include "fake_guest.hpp"
#include "spec.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

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

TEST(FramesDriver, CountsOnTheHostAfterEachWorkload)
{
    FakeHost host;
    auto input = input_of(Driver::frames, 1);
    input.cell.workloads = {json{{"id", "frames-read"}, {"engine", "frames"}},
                            json{{"id", "frames-mapped"}, {"engine", "frames"}}};
    const auto result = run_cell(input, host);
    EXPECT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(host.calls, (std::vector<string>{"load", "mount", "prove", "dmesg", "run", "dmesg", "run",
                                               "dmesg", "shutdown"}));
    EXPECT_EQ(named(result, "host_rss_files_bytes").samples, (std::vector<double>{300}));
    EXPECT_EQ(named(result, "host_rss_anonymous_bytes").samples, (std::vector<double>{680}));
    // 4000 by the kernel's count; 3980 in mappings.
    EXPECT_EQ(named(result, "host_unaccounted_bytes").samples, (std::vector<double>{20}));
    EXPECT_EQ(named(result, "host_unaccounted_ratio").samples, (std::vector<double>{0.005}));
    EXPECT_EQ(std::ranges::count(result.measurements, "host_unaccounted_bytes", &Measurement::metric), 2);
}

TEST(Requests, ADiskIsFoundByItsSerialAndAnOverlayIsAskedFor)
{
    auto input = input_of(Driver::single, 1);
    EXPECT_EQ(mount_requests(input)[0].args.at("source"), "pmem");
    EXPECT_FALSE(mount_requests(input)[0].args.contains("overlay"));
    input.filesystem.medium = "virtio-blk";
    input.filesystem.overlay = true;
    EXPECT_EQ(mount_requests(input)[0].args.at("source"), disk_serial);
    EXPECT_EQ(mount_requests(input)[0].args.at("overlay"), true);
    EXPECT_EQ(mount_requests(input)[1].args.at("overlay"), true);
}

TEST(SingleDriver, AMediumThatIsNotAsDeclaredIsInTheProof)
{
    FakeHost host;
    auto input = input_of(Driver::single, 1);
    input.medium_note = "no O_DIRECT";
    EXPECT_EQ(run_cell(input, host).proof.at("medium_note"), "no O_DIRECT");
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

// Of a workload that reads the whole dataset, and read so many pages of it.
std::function<json(const json &)> whole_answer(int data_pages)
{
    return [data_pages](const json &) {
        auto answer = run_answer();
        answer["data_pages"] = data_pages;
        answer["whole"] = true;
        return answer;
    };
}

TEST(InstancesDriver, ComputesDuplication)
{
    FakeHost host;
    host.answers["run"] = whole_answer(2);
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
    host.answers["run"] = whole_answer(1);
    const auto result = run_cell(input_of(Driver::instances, 2), host);
    EXPECT_EQ(result.status, "failed");
    EXPECT_EQ(result.error, "expected the guest to read all 8192 bytes of the dataset, it read 4096");
}

TEST(InstancesDriver, GuestsMustHaveReadTheSameBytesAndTheDatasets)
{
    FakeHost host;
    int guests = 0;
    host.answers["run"] = [&](const json &) {
        auto answer = whole_answer(2)(json());
        answer["digest"] = ++guests == 1 ? "aa" : "bb";
        return answer;
    };
    const auto differing = run_cell(input_of(Driver::instances, 2), host);
    EXPECT_EQ(differing.error, "expected guest 2 to read the bytes that the first has read, it read others");
    EXPECT_TRUE(differing.measurements.empty());

    auto input = input_of(Driver::instances, 1);
    input.digest = "aa";
    const auto others = run_cell(input, host);
    EXPECT_NE(others.error.find("the dataset's names and bytes (digest aa), it read others (bb)"),
              string::npos)
        << others.error;
}

TEST(InstancesDriver, EqualContentsCountOnceInTheDistinctFactor)
{
    FakeHost host;
    host.answers["run"] = whole_answer(2);
    auto input = input_of(Driver::instances, 2);
    input.distinct_bytes = 4096;
    EXPECT_EQ(named(run_cell(input, host), "distinct_factor").samples, std::vector<double>{2000.0 / 4096});
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

TEST(InstancesDriver, EveryMetricIsDeclared)
{
    FakeHost host;
    const auto catalogue = load_catalogue(own_paths().source / "workloads");
    for (const auto &row : run_cell(input_of(Driver::instances, 2), host).measurements)
        EXPECT_TRUE(catalogue.metrics.contains(row.metric)) << row.metric;
}

TEST(GuestDrivers, ARangeIsMountedByItsAddress)
{
    auto input = input_of(Driver::single, 1);
    input.image_bytes = 4 << 20;
    input.filesystem.options = "ro";
    EXPECT_EQ(mount_requests(input)[0].args.at("source"), "pmem");
    EXPECT_EQ(mount_requests(input)[0].args.at("options"), "ro");
    input.filesystem.medium = "reserved";
    EXPECT_EQ(mount_requests(input)[0].args.at("options"), "ro,phys=0x100000000,size=4194304");
    input.filesystem.medium = "ram";
    EXPECT_EQ(mount_requests(input)[0].op, "seed");
}

} // namespace
} // namespace daxbench
