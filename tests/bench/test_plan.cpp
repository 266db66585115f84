// SPDX-License-Identifier: Apache-2.0
// From declarations and a request to cells; and how cells share the machine.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "plan.hpp"
#include "portion.hpp"
#include "process.hpp"
#include "scheduler.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;

/// The tree's own declarations; job files are replaced, since only their being read matters.
class PlanTest : public testing::Test {
protected:
    PlanTest() : catalogue_(load_catalogue(own_paths().source / "workloads"))
    {
        for (auto &[id, workload] : catalogue_.workloads)
            workload.arguments.erase("job");
    }

    std::vector<Cell> plan(PlanRequest request)
    {
        request.suite = "erofs-vs-daxfs";
        return make_plan(catalogue_, request);
    }

    std::string error(PlanRequest request)
    {
        try {
            plan(std::move(request));
        } catch (const std::exception &error) {
            return error.what();
        }
        return "";
    }

    Catalogue catalogue_;
};

std::vector<std::string> workload_ids(const Cell &cell)
{
    std::vector<std::string> ids;
    for (const auto &workload : cell.workloads)
        ids.push_back(workload.at("id"));
    return ids;
}

TEST_F(PlanTest, DefaultHasEveryExperiment)
{
    const auto cells = plan({});
    std::set<std::string> experiments;
    for (const auto &cell : cells)
        experiments.insert(cell.experiment);
    std::set<std::string> declared{"calibration"};
    for (const auto &id : catalogue_.suites.at("erofs-vs-daxfs").experiments)
        declared.insert(id);
    EXPECT_EQ(experiments, declared);
    EXPECT_EQ(cells.front().id, "latency/rootfs/daxfs/n1");
    EXPECT_GT(estimate_seconds(cells, 1), estimate_seconds(cells, 2));
}

TEST_F(PlanTest, IdsAreUniqueAndOrderRepeats)
{
    const auto cells = plan({});
    const auto again = plan({});
    std::set<std::string> ids;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        EXPECT_TRUE(ids.insert(cells[i].id).second) << cells[i].id;
        EXPECT_EQ(cells[i].id, again[i].id);
    }
}

TEST_F(PlanTest, ProfileOverridesApply)
{
    const auto cells = plan({.suite = "", .profile = "smoke", .filesystems = {}, .only = ""});
    for (const auto &cell : cells) {
        if (cell.experiment != "calibration") {
            EXPECT_EQ(cell.dataset, "rootfs");
        }
        EXPECT_LE(cell.instances, 2);
        for (const auto &workload : cell.workloads) {
            EXPECT_EQ(workload.at("repetitions"), 1);
            EXPECT_LE(workload.value("limit", 0), 500);
        }
    }
}

TEST_F(PlanTest, DatasetHasItsOwnWorkloads)
{
    const auto cells =
        plan({.suite = "", .profile = "default", .filesystems = {}, .only = "latency/weights/*"});
    const auto &declared = catalogue_.experiments.at("latency");
    EXPECT_EQ(cells.size(), declared.filesystems.size());
    EXPECT_EQ(workload_ids(cells.front()), declared.dataset_workloads.at("weights"));
    EXPECT_NE(declared.dataset_workloads.at("weights"), declared.workloads);
}

TEST_F(PlanTest, FiltersNarrow)
{
    const auto cells = plan(
        {.suite = "", .profile = "default", .filesystems = {"daxfs", "tmpfs"}, .only = "duplication/*/n3"});
    ASSERT_EQ(cells.size(), 2U);
    EXPECT_EQ(cells[0].id, "duplication/rootfs/daxfs/n3");
    EXPECT_EQ(cells[1].id, "duplication/rootfs/tmpfs/n3");
}

TEST_F(PlanTest, ToolsThatMakeImagesAreCellsToo)
{
    const auto cells = make_plan(
        catalogue_,
        {.suite = "image-build", .profile = "smoke", .filesystems = {"daxfs", "erofs-4k"}, .only = ""});
    ASSERT_EQ(cells.size(), 2U);
    EXPECT_EQ(cells[1].id, "build/fewfiles/erofs-4k/n1");
    EXPECT_EQ(cells[1].driver, Driver::build);
    EXPECT_FALSE(needs_guest(cells[1]));
    EXPECT_EQ(cells[1].workloads.at(0).at("repetitions"), 3);
    EXPECT_TRUE(needs_guest(plan({}).front()));
}

TEST_F(PlanTest, KernelsAreAnAxisAndSuffixOfIds)
{
    PlanRequest request;
    request.only = "rss/rootfs/daxfs/*";
    ASSERT_EQ(plan(request).size(), 1U);
    EXPECT_EQ(plan(request)[0].kernel_of(0), "") << "the run's own, where none is named";
    request.kernels = {"6.1", "7.3"};
    const auto cells = plan(request);
    ASSERT_EQ(cells.size(), 2U);
    EXPECT_EQ(cells[0].id, "rss/rootfs/daxfs/n1/6.1");
    EXPECT_EQ(cells[1].kernel_of(0), "7.3");
    EXPECT_EQ(kernel_names(cells), (std::set<std::string>{"6.1", "7.3"}));
}

TEST_F(PlanTest, KernelsOfExperimentSuiteAndProfile)
{
    PlanRequest request;
    request.only = "rss/rootfs/daxfs/*";
    auto &suite = catalogue_.suites.at("erofs-vs-daxfs");
    suite.kernels = {"6.1", "6.12"};
    EXPECT_EQ(plan(request).size(), 2U);
    catalogue_.experiments.at("rss").kernels = {"6.1", "6.12", "7.3"};
    EXPECT_EQ(plan(request).size(), 3U) << "the experiment's own win";
    suite.profiles.at("default").kernels = {"7.3"};
    ASSERT_EQ(plan(request).size(), 1U) << "a profile keeps some";
    EXPECT_EQ(plan(request)[0].id, "rss/rootfs/daxfs/n1/7.3");
    suite.kernels.clear();
    catalogue_.experiments.at("rss").kernels.clear();
    EXPECT_EQ(plan(request)[0].id, "rss/rootfs/daxfs/n1/7.3") << "and is the axis where there is none";
}

TEST_F(PlanTest, GuestsOfOneCellMayBootUnlikeKernels)
{
    Cell cell;
    cell.instances = 3;
    cell.kernels = {"6.1", "7.3"};
    EXPECT_EQ(cell.kernel_of(0), "6.1");
    EXPECT_EQ(cell.kernel_of(1), "7.3");
    EXPECT_EQ(cell.kernel_of(2), "6.1");
    EXPECT_EQ(cell.kernel_of(3), "6.1") << "the first guest of the second boot";
}

TEST_F(PlanTest, EveryRunWithGuestsIsCalibratedOnEachOfItsKernels)
{
    const auto calibrations = [](const std::vector<Cell> &cells) {
        std::vector<std::string> ids;
        for (const auto &cell : cells)
            if (cell.experiment == "calibration")
                ids.push_back(cell.id);
        return ids;
    };
    PlanRequest request;
    request.profile = "smoke";
    request.filesystems = {"daxfs"};
    EXPECT_EQ(calibrations(plan(request)), std::vector<std::string>{"calibration/none/none/n1"});
    request.kernels = {"6.1", "7.3"};
    EXPECT_EQ(calibrations(plan(request)),
              (std::vector<std::string>{"calibration/none/none/n1/6.1", "calibration/none/none/n1/7.3"}));
    request.only = "rss/*";
    EXPECT_TRUE(calibrations(plan(request)).empty()) << "--only names what runs";
    EXPECT_TRUE(
        calibrations(make_plan(catalogue_,
                               {.suite = "image-build", .profile = "smoke", .filesystems = {}, .only = ""}))
            .empty())
        << "no guest";
}

// ---- portions, their order, shards ----

std::vector<std::string> ids_of(const std::vector<Cell> &cells)
{
    std::vector<std::string> ids;
    for (const auto &cell : cells)
        ids.push_back(cell.id);
    return ids;
}

TEST_F(PlanTest, ShardsAreAllOfItOnceAndAboutEqual)
{
    const auto cells = plan({});
    std::multiset<std::string> seen;
    double least = 1e9;
    double most = 0;
    for (unsigned index = 1; index <= 3; ++index) {
        const auto part = cells_of_shard(cells, {index, 3});
        EXPECT_EQ(ids_of(part), ids_of(cells_of_shard(cells, {index, 3}))) << "the same each time";
        for (const auto &id : ids_of(part))
            seen.insert(id);
        least = std::min(least, estimate_seconds(part, 1));
        most = std::max(most, estimate_seconds(part, 1));
    }
    const auto all = ids_of(cells);
    EXPECT_EQ(seen, std::multiset<std::string>(all.begin(), all.end()));
    EXPECT_LT(most, 1.1 * least);
}

TEST_F(PlanTest, ImageToolsThatTakeTurnsStayTogether)
{
    const auto cells =
        make_plan(catalogue_, {.suite = "image-build", .profile = "default", .filesystems = {}, .only = ""});
    const auto portions = portions_of(cells);
    EXPECT_EQ(portions.size(), 3U) << "one for each dataset";
    for (const auto &portion : portions)
        for (const auto &cell : portion)
            EXPECT_EQ(cell.dataset, portion.front().dataset);
}

TEST_F(PlanTest, TheSeedDecidesTheOrderAndNothingElse)
{
    const auto portions = portions_of(plan({}));
    const auto order = [&](int seed) {
        std::vector<std::string> ids;
        for (const auto &portion : shuffled(portions, seed))
            ids.push_back(portion.front().id);
        return ids;
    };
    EXPECT_EQ(order(1), order(1));
    EXPECT_NE(order(1), order(2));
    auto one = order(1);
    auto other = order(2);
    std::sort(one.begin(), one.end());
    std::sort(other.begin(), other.end());
    EXPECT_EQ(one, other);
}

TEST(ShardText, IsPartOfParts)
{
    EXPECT_EQ(to_text(parse_shard("2/3")), "2/3");
    for (const char *wrong : {"", "1", "0/2", "3/2", "1/0", "1/2/3", "a/b", "-1/2", "1/2 "})
        EXPECT_THROW(parse_shard(wrong), std::runtime_error) << wrong;
}

TEST_F(PlanTest, WrongNamesAreRefusedWithTheRightOnes)
{
    EXPECT_NE(error({.suite = "", .profile = "huge", .filesystems = {}, .only = ""})
                  .find("expected a profile, got \"huge\"; there are: default, full, smoke"),
              std::string::npos);
    EXPECT_NE(error({.suite = "", .profile = "default", .filesystems = {"ntfs"}, .only = ""})
                  .find("expected a filesystem, got \"ntfs\""),
              std::string::npos);
    EXPECT_NE(error({.suite = "", .profile = "default", .filesystems = {}, .only = "nothing"})
                  .find("expected cells to run"),
              std::string::npos);
}

TEST(FileName, HasNoSlash)
{
    EXPECT_EQ(file_name_of("latency/rootfs/daxfs/n1"), "latency_rootfs_daxfs_n1");
}

// ---- scheduler ----

class SchedulerTest : public testing::Test {
protected:
    Job job(unsigned guests, std::uint64_t memory, const std::string &resource, bool exclusive)
    {
        Job job;
        job.guests = guests;
        job.memory_bytes = memory;
        job.resource = resource;
        job.exclusive = exclusive;
        job.run = [this, guests, memory] {
            most_guests_ = std::max(most_guests_.load(), guests_ += guests);
            most_memory_ = std::max(most_memory_.load(), memory_ += memory);
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
            guests_ -= guests;
            memory_ -= memory;
            ++ran_;
        };
        return job;
    }

    std::vector<std::size_t> run(const JobLimits &limits, bool stop = false)
    {
        return run_jobs(
            jobs_, limits, [stop] { return stop; }, [] {});
    }

    std::vector<Job> jobs_;
    std::atomic<unsigned> guests_{0}, most_guests_{0}, ran_{0};
    std::atomic<std::uint64_t> memory_{0}, most_memory_{0};
};

TEST_F(SchedulerTest, UsesSlotsAndNoMore)
{
    for (int i = 0; i < 6; ++i)
        jobs_.push_back(job(1, 10, "a", false));
    EXPECT_TRUE(run({2, 100}).empty());
    EXPECT_EQ(ran_, 6U);
    EXPECT_EQ(most_guests_, 2U);
}

TEST_F(SchedulerTest, MemoryIsALimit)
{
    for (int i = 0; i < 4; ++i)
        jobs_.push_back(job(1, 60, "a", false));
    run({4, 100});
    EXPECT_EQ(most_memory_, 60U);
}

TEST_F(SchedulerTest, ExclusiveResourceIsUsedAlone)
{
    jobs_ = {job(1, 1, "a", true), job(1, 1, "a", false), job(1, 1, "a", true)};
    run({3, 100});
    EXPECT_EQ(most_guests_, 1U);
    EXPECT_EQ(ran_, 3U);
}

TEST_F(SchedulerTest, OtherResourcesRunBesideAnExclusiveOne)
{
    jobs_ = {job(1, 1, "a", true), job(1, 1, "a", false), job(1, 1, "b", false)};
    run({3, 100});
    EXPECT_EQ(most_guests_, 2U);
}

TEST_F(SchedulerTest, JobWiderThanTheMachineRunsAlone)
{
    jobs_ = {job(1, 1, "a", false), job(3, 1, "b", false), job(1, 1, "c", false)};
    run({2, 100});
    EXPECT_EQ(ran_, 3U);
    EXPECT_EQ(most_guests_, 3U);
}

TEST_F(SchedulerTest, TooLittleMemoryIsReportedNotTried)
{
    jobs_ = {job(1, 200, "a", false), job(1, 50, "a", false)};
    EXPECT_EQ(run({2, 100}), std::vector<std::size_t>{0});
    EXPECT_EQ(ran_, 1U);
}

TEST_F(SchedulerTest, StopStartsNothingMore)
{
    jobs_ = {job(1, 1, "a", false), job(1, 1, "a", false)};
    EXPECT_EQ(run({1, 100}, true).size(), 2U);
    EXPECT_EQ(ran_, 0U);
}

} // namespace
} // namespace daxbench
