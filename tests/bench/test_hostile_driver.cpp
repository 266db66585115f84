// SPDX-License-Identifier: Apache-2.0
// The driver hostile on fake guests: what it counts where a guest answers, complains, dies or hangs; and what
// is written over an image.
#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "canary.hpp"
#include "driver.hpp"
#include "fake_guest.hpp"
#include "guest.hpp"
#include "mutations.hpp"
#include "writable_image.hpp"

namespace daxbench {
namespace {

json survive_answer()
{
    return {{"counts",
             {{"accesses", 1000},
              {"failures", 20},
              {"mapping_faults", 3},
              {"changed_reads", 4},
              {"foreign_memory", 0},
              {"foreign_region", 16},
              {"programs", 9},
              {"program_failures", 5},
              {"worker_deaths", 1},
              {"hangs", 0},
              {"rounds", 7}}},
            {"errors", {{"EUCLEAN", 20}}}};
}

CellInput hostile_input(int instances, const string &mutation = "bytes")
{
    auto input = input_of(Driver::hostile, instances);
    input.cell.workloads = {json{
        {"id", "overwrite"}, {"engine", "survive"}, {"mutation", mutation}, {"seconds", 1}, {"seed", 5}}};
    return input;
}

class HostileDriver : public testing::Test {
protected:
    HostileDriver()
    {
        host_.answers["run"] = [this](const json &args) {
            if (args.at("workload").at("phase") == "prepare")
                return json{{"files", 3}, {"checkers", {"KASAN"}}};
            host_.wait_for_a_write();
            return run_();
        };
    }
    CellResult run(int instances = 1, const string &mutation = "bytes")
    {
        return run_cell(hostile_input(instances, mutation), host_);
    }
    static const Measurement &named(const CellResult &result, const string &metric)
    {
        const auto found = std::ranges::find(result.measurements, metric, &Measurement::metric);
        if (found == result.measurements.end())
            throw std::runtime_error("no metric " + metric);
        return *found;
    }
    static double value(const CellResult &result, const string &metric)
    {
        return named(result, metric).samples.at(0);
    }

    FakeHost host_;
    std::function<json()> run_ = survive_answer;
};

TEST_F(HostileDriver, CountsWhatTheGuestSays)
{
    const auto result = run();
    EXPECT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(host_.calls, (std::vector<string>{"load", "mount", "prove", "run", "dmesg", "run", "restore",
                                                "umount", "dmesg", "shutdown"}));
    EXPECT_EQ(value(result, "hostile_accesses"), 1000);
    EXPECT_EQ(value(result, "failed_accesses"), 20);
    EXPECT_EQ(value(result, "foreign_bytes"), 16);
    EXPECT_EQ(value(result, "kernel_deaths"), 0);
    EXPECT_EQ(value(result, "kernel_complaints"), 0);
    EXPECT_EQ(value(result, "hangs"), 0);
    EXPECT_GT(value(result, "mutations"), 0);
    EXPECT_EQ(result.proof.at("checkers"), json({"KASAN"}));
    EXPECT_EQ(result.raw.at(0).at("seed"), 5);
    EXPECT_EQ(host_.writers, 0);
}

TEST_F(HostileDriver, WithTwoGuestsTheSecondOneWrites)
{
    const auto result = run(2);
    EXPECT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(host_.writers, 1);
    EXPECT_GT(std::ranges::count(host_.writer_calls, "overwrite"), 0);
    EXPECT_EQ(named(result, "kernel_deaths").instances, 2);
}

TEST_F(HostileDriver, AnotherImageIsSwappedInByEither)
{
    EXPECT_GT(value(run(1, "other-image"), "mutations"), 0);
    EXPECT_GT(value(run(2, "other-image"), "mutations"), 0);
}

TEST_F(HostileDriver, AKernelThatDiesIsAResult)
{
    run_ = []() -> json { throw GuestDied("the guest's kernel died: BUG: unable to handle page fault"); };
    const auto result = run();
    EXPECT_EQ(result.status, "ok") << result.error;
    EXPECT_EQ(value(result, "kernel_deaths"), 1);
    EXPECT_EQ(value(result, "hangs"), 0);
    for (const string metric : {"kernel_complaints", "foreign_bytes", "failed_accesses"}) {
        EXPECT_TRUE(named(result, metric).samples.empty()) << metric;
        EXPECT_NE(named(result, metric).error.find("unable to handle"), string::npos) << metric;
    }
    EXPECT_EQ(result.raw.at(0).at("ended"), "died");
    EXPECT_EQ(std::ranges::count(host_.calls, "umount"), 0);
}

TEST_F(HostileDriver, AfterADeathTheNextWorkloadHasAGuestOfItsOwn)
{
    auto input = hostile_input(1);
    input.cell.workloads.push_back(input.cell.workloads[0]);
    int asked = 0;
    run_ = [&]() -> json {
        if (++asked == 1)
            throw GuestDied("it died");
        return survive_answer();
    };
    const auto result = run_cell(input, host_);
    EXPECT_EQ(std::ranges::count(host_.calls, "mount"), 2);
    EXPECT_EQ(std::ranges::count(result.measurements, "kernel_deaths", &Measurement::metric), 2);
}

TEST_F(HostileDriver, OneThatSaysNothingHangs)
{
    run_ = []() -> json { throw std::runtime_error("nothing came within 90 s"); };
    const auto result = run();
    EXPECT_EQ(value(result, "hangs"), 1);
    EXPECT_EQ(value(result, "kernel_deaths"), 0);
    EXPECT_FALSE(named(result, "foreign_bytes").error.empty());
}

TEST_F(HostileDriver, ComplaintsAndHungTasksAreTwoThings)
{
    int asked = 0;
    host_.answers["dmesg"] = [&](const json &) {
        if (++asked == 1)
            return json{{"lines", json::array()}};
        return json{{"lines",
                     {{{"text", "WARNING: CPU: 0 PID: 99 at fs/dax.c:396"}},
                      {{"text", "INFO: task walk:7 blocked for more than 10 seconds."}},
                      {{"text", "traps: bash[332] general protection fault ip:8000 sp:7fff error:0"}},
                      {{"text", "daxfs: bad data of inode 7"}}}}};
    };
    const auto result = run();
    EXPECT_EQ(value(result, "kernel_complaints"), 1);
    EXPECT_EQ(value(result, "hangs"), 1);
    EXPECT_EQ(result.raw.at(0).at("complaints").size(), 2U);
}

TEST_F(HostileDriver, AnEngineThatFailsIsNoResult)
{
    run_ = []() -> json { throw AgentError("expected the phase prepare"); };
    const auto result = run();
    EXPECT_EQ(result.status, "failed");
    EXPECT_EQ(result.error, "expected the phase prepare");
    EXPECT_TRUE(result.measurements.empty());
}

std::string page_of(std::uint64_t offset)
{
    return std::string(4096, static_cast<char>('a' + offset / 4096));
}

TEST(Mutations, AreTheSameForTheSameSeed)
{
    const std::vector<std::uint64_t> metadata = {0, 8192};
    for (const auto kind : {MutationKind::bytes, MutationKind::metadata_pages}) {
        Mutations one(kind, 7, 1 << 20, metadata);
        Mutations same(kind, 7, 1 << 20, metadata);
        Mutations another(kind, 8, 1 << 20, metadata);
        int different = 0;
        for (int i = 0; i < 100; ++i) {
            const auto first = one.next(page_of);
            const auto second = same.next(page_of);
            EXPECT_EQ(first.offset, second.offset);
            EXPECT_EQ(first.bytes, second.bytes);
            different += first.bytes != another.next(page_of).bytes ? 1 : 0;
        }
        EXPECT_GT(different, 50);
    }
}

TEST(Mutations, StayWithinTheImageAndOnePage)
{
    const std::vector<std::uint64_t> metadata = {0, 8192};
    Mutations bytes(MutationKind::bytes, 1, 16384, metadata);
    bool elsewhere = false;
    for (int i = 0; i < 1000; ++i) {
        const auto mutation = bytes.next(page_of);
        EXPECT_LE(mutation.offset % 4096 + mutation.bytes.size(), 4096U);
        EXPECT_LE(mutation.offset + mutation.bytes.size(), 16384U);
        EXPECT_GE(mutation.bytes.size(), 1U);
        const auto page = mutation.offset / 4096 * 4096;
        elsewhere = elsewhere || (page != 0 && page != 8192);
    }
    EXPECT_TRUE(elsewhere);
}

TEST(Mutations, PagesAreOfMetadataAlone)
{
    const std::vector<std::uint64_t> metadata = {4096, 12288};
    Mutations pages(MutationKind::metadata_pages, 1, 1 << 20, metadata);
    int copies = 0;
    for (int i = 0; i < 100; ++i) {
        const auto mutation = pages.next(page_of);
        EXPECT_TRUE(mutation.offset == 4096 || mutation.offset == 12288);
        ASSERT_EQ(mutation.bytes.size(), 4096U);
        copies += mutation.bytes == page_of(4096) || mutation.bytes == page_of(12288) ? 1 : 0;
    }
    EXPECT_GT(copies, 20);
    EXPECT_LT(copies, 80);
}

TEST(Canaries, AreFoundAtAnyPlace)
{
    const auto page = canary_page(region_canary);
    EXPECT_EQ(bytes_of_canary(page, region_canary), 4096U);
    EXPECT_EQ(bytes_of_canary("abc" + page.substr(0, 16) + "x", region_canary), 16U);
    EXPECT_EQ(bytes_of_canary(page, memory_canary), 0U);
}

class ImageCopies : public testing::Test {
protected:
    static std::string page(char letter, std::size_t size = 4096) { return std::string(size, letter); }
    void write(const std::string &name, const std::string &content)
    {
        std::ofstream(dir_.path() / name, std::ios::binary) << content;
    }
    std::string read(const std::filesystem::path &path) { return read_file(path); }

    TempDir dir_;
};

// A file's pages are known by their bytes; its last one is filled with zeros.
TEST_F(ImageCopies, MetadataIsWhatNoFileHas)
{
    std::filesystem::create_directory(dir_.path() / "tree");
    write("tree/file", page('a') + page('b', 100));
    write("image", page('m') + page('a') + page('\0') + page('b', 100) + page('\0', 3996) + page('n'));
    EXPECT_EQ(metadata_pages(dir_.path() / "image", dir_.path() / "tree"),
              (std::vector<std::uint64_t>{0, 16384}));
}

TEST_F(ImageCopies, AreRestoredAndEndInTheCanary)
{
    const auto image = page('a') + page('\0', 3 * 4096) + page('b');
    write("image", image);
    write("other", page('o') + page('o'));
    ImageCopy copy(dir_.path() / "image", dir_.path() / "other", {0});
    EXPECT_EQ(copy.bytes(), image.size());
    const auto fresh = read(copy.path());
    EXPECT_EQ(fresh.substr(0, image.size()), image);
    EXPECT_EQ(bytes_of_canary(fresh, region_canary), fresh.size() - image.size());
    copy.write(5000, "xyz");
    EXPECT_EQ(read(copy.path()).substr(5000, 3), "xyz");
    EXPECT_EQ(copy.pristine(5000, 3), std::string(3, '\0'));
    copy.write_other();
    EXPECT_EQ(read(copy.path()).substr(0, 8192), page('o') + page('o'));
    copy.restore();
    EXPECT_EQ(read(copy.path()), fresh);
    EXPECT_EQ(read(dir_.path() / "image"), image);
}

} // namespace
} // namespace daxbench
