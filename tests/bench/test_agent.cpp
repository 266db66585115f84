// SPDX-License-Identifier: Apache-2.0
// The agent without a guest: its parsers, and its operations over a socket.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "agent.hpp"
#include "container.hpp"
#include "container_output.hpp"
#include "frames.hpp"
#include "manifest.hpp"
#include "mounts.hpp"
#include "operations.hpp"
#include "permutation.hpp"
#include "process.hpp"
#include "seed.hpp"
#include "selection.hpp"
#include "system.hpp"
#include "temp_dir.hpp"
#include "workload.hpp"

using namespace daxbench;
namespace fs = std::filesystem;

namespace {

class TreeTest : public testing::Test {
protected:
    TreeTest()
    {
        fs::create_directories(tree / "dir/deep");
        put("dir/small", std::string(5000, 's'));
        put("dir/deep/tiny", "t");
        put("empty", "");
        put("large", std::string(300000, 'l'));
        fs::create_hard_link(tree / "large", tree / "large-too");
        fs::create_symlink("large", tree / "link");
    }
    void put(const std::string &name, const std::string &text)
    {
        std::ofstream(tree / name, std::ios::binary) << text;
    }

    const daxfs::TempDir folder;
    const fs::path root = folder.path();
    const fs::path tree = root / "tree";
};

// The host's side of a running agent.
class Host {
public:
    Host()
    {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            throw_errno("socketpair");
        fd_ = UniqueFd(ends[0]);
        agent_ = std::jthread([fd = ends[1]] {
            const UniqueFd guard(fd);
            Agent(GuestConfigFile{}).serve(fd);
        });
    }
    ~Host() { fd_.reset(); }

    json receive()
    {
        for (;;) {
            if (const auto line = framer_.next())
                return parse_line(*line);
            char buffer[4096];
            const ssize_t got = ::read(fd_.get(), buffer, sizeof buffer);
            if (got <= 0)
                return {};
            framer_.feed({buffer, static_cast<std::size_t>(got)});
        }
    }
    json call(const std::string &op, const json &args)
    {
        write_all(fd_.get(), to_line({{"id", 7}, {"op", op}, {"args", args}}));
        for (;;) {
            json answer = receive();
            if (answer.is_null() || answer.at("type") != "progress")
                return answer;
        }
    }

private:
    std::jthread agent_;
    UniqueFd fd_;
    LineFramer framer_;
};

std::vector<std::string> names(const std::vector<SelectedFile> &files, const fs::path &root)
{
    std::vector<std::string> out;
    for (const auto &file : files)
        out.push_back(fs::path(file.path).lexically_relative(root));
    return out;
}

TEST(Calibration, MeasuresTheGroundWithoutAMount)
{
    for (const auto &engine : declared_engines())
        if (engine.name == "calibration")
            for (const std::string &what : engine.keys.front().allowed) {
                RunRequest request;
                request.workload = {{"engine", "calibration"}, {"what", what}, {"repetitions", 2}};
                request.progress = [](const std::string &) {};
                const auto result = run_workload(request).at("results").at(0);
                ASSERT_EQ(result.at("samples").size(), 2U) << what;
                EXPECT_GT(result.at("samples").at(1).get<double>(), 0) << what;
            }
    RunRequest request;
    request.workload = {{"engine", "calibration"}, {"what", "nothing"}};
    EXPECT_THROW(run_workload(request), std::runtime_error);
}

} // namespace

TEST(Mountinfo, KeepsBothKindsOfOptions)
{
    const auto mounts =
        parse_mountinfo("22 1 0:20 / /proc rw,nosuid - proc proc rw\n"
                        "30 1 259:0 / /mnt/a\\040b ro,relatime shared:1 - erofs /dev/pmem0 ro,dax=always\n");
    ASSERT_EQ(mounts.size(), 2U);
    EXPECT_EQ(mounts[1].target, "/mnt/a b");
    EXPECT_EQ(mounts[1].type, "erofs");
    EXPECT_EQ(mounts[1].source, "/dev/pmem0");
    EXPECT_EQ(mounts[1].options, "ro,relatime,ro,dax=always");
}

TEST(KernelLog, ParsesARecordAndKnowsAlarms)
{
    const auto message = parse_kernel_message("12,339,5140900,-;daxfs: mounted\n DEVICE=b259:0\n");
    EXPECT_EQ(message.level, 4);
    EXPECT_EQ(message.text, "daxfs: mounted");
    EXPECT_FALSE(is_alarming(message));
    EXPECT_TRUE(is_alarming({3, "something failed"}));
    EXPECT_TRUE(is_alarming({6, "WARNING: CPU: 0 PID: 1 at fs/dax.c:42"}));
    EXPECT_TRUE(is_alarming({4, "BUG: KASAN: use-after-free in x"}));
}

TEST(Frames, FindsPersistentMemoryInIomem)
{
    const auto ranges = parse_pmem_ranges("00100000-5ffdffff : System RAM\n"
                                          "  01000000-01ffffff : Kernel code\n"
                                          "100000000-112ffffff : namespace0.0\n"
                                          "240000000-27fffffff : Persistent Memory\n");
    EXPECT_EQ(ranges, (std::vector<PhysicalRange>{{0x100000000, 0x113000000}, {0x240000000, 0x280000000}}));
}

TEST(Memory, FreePagesOfSingleCpusAreCounted)
{
    EXPECT_EQ(per_cpu_free_pages("Node 0, zone DMA\n  pagesets\n    cpu: 0\n              count: 5\n"
                                 "              high:  100\n    cpu: 1\n              count: 70\n"),
              75U);
    EXPECT_EQ(per_cpu_free_pages("Node 0, zone DMA\n        present  3\n"), 0U);
}

TEST(Permutation, IsOneAndAlwaysTheSame)
{
    const auto order = permutation(1000, 1);
    EXPECT_EQ(order, permutation(1000, 1));
    EXPECT_NE(order, permutation(1000, 2));
    EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 1000U);
    EXPECT_EQ(order[0], 459U); // figures of two versions compare only while this holds
}

TEST_F(TreeTest, Selects)
{
    EXPECT_EQ(names(select_files(tree, {{"file", "large"}}), tree), (std::vector<std::string>{"large"}));
    EXPECT_EQ(names(select_files(tree, {{"file", "small"}}), tree),
              (std::vector<std::string>{"dir/deep/tiny", "dir/small"}));
    EXPECT_EQ(select_files(tree, {{"file", "all"}}).size(), 8U);
    EXPECT_EQ(select_files(tree, {{"file", "all"}, {"limit", 3}}).size(), 3U);
    EXPECT_EQ(names(select_files(tree, {{"file", "dir/small"}}), tree),
              (std::vector<std::string>{"dir/small"}));
    EXPECT_THROW(select_files(tree, {{"file", "nowhere"}}), std::runtime_error);
}

TEST_F(TreeTest, SeedingCopiesEverything)
{
    const fs::path copy = root / "copy";
    fs::create_directory(copy);
    const SeedCount count = copy_tree(tree, copy);
    EXPECT_EQ(count.entries, 9U);
    EXPECT_EQ(count.bytes, 305001U);
    EXPECT_EQ(make_manifest(copy, {}), make_manifest(tree, {}));
}

TEST(Process, GivesStatusOutputAndDeadline)
{
    const auto result = run_process({{"/bin/sh", "-c", "cat; echo oops >&2; exit 3"}, {}, "", "in"});
    EXPECT_EQ(result.status, 3);
    EXPECT_EQ(result.out, "in");
    EXPECT_EQ(result.err, "oops\n");
    const auto killed = run_process({{"/bin/sh", "-c", "kill -9 $$"}, {}, "", ""});
    EXPECT_EQ(killed.signal, 9);
    EXPECT_TRUE(run_process({{"/bin/sleep", "20"}, {}, "", "", 0.1}).timed_out);
    EXPECT_THROW(run_process({{"/no/such/program"}, {}, "", ""}), std::runtime_error);
}

TEST(ContainerOutput, IsReadToALine)
{
    ContainerOutput output;
    write_all(output.writer(), "not ready\nready\nmore");
    output.read_to_line("ready", 1);
    EXPECT_EQ(output.text(), "not ready\nready\nmore");
    EXPECT_THROW(output.read_to_line("never", 0), std::runtime_error);
    output.close_writer();
    EXPECT_THROW(output.read_to_line("never", 1), std::runtime_error);
}

TEST(Vfork, RunsOnThisMemoryAndTellsTheChildsId)
{
    int changed = 0;
    pid_t told = 0;
    const pid_t pid = vfork_into(
        0,
        [&] {
            changed = told;
            ::_exit(3);
        },
        &told);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT_EQ(told, pid);
    EXPECT_EQ(changed, pid);
}

// Options beyond a page would be cut off by mount(2), and with them the writable layer.
TEST(OverlayFolders, TooManyLayersAreRefused)
{
    std::string lower;
    for (int i = 0; i < 500; ++i)
        lower += "/mnt/x/" + std::to_string(100 + i) + ":";
    EXPECT_THROW(OverlayFolders("o", lower), std::runtime_error);
}

TEST_F(TreeTest, ServesOverASocket)
{
    Host host;
    const json hello = host.receive();
    EXPECT_EQ(hello.at("type"), "hello");
    EXPECT_EQ(hello.at("protocol"), protocol_version);
    EXPECT_GT(hello.at("mem_bytes"), 0);

    const json manifest = host.call("manifest", {{"target", tree}, {"mode", "mmap-shared"}});
    EXPECT_EQ(manifest.at("id"), 7);
    EXPECT_EQ(manifest.at("value").at("lines"), make_manifest(tree, {}));

    const json failure = host.call("no-such-op", json::object());
    EXPECT_EQ(failure.at("type"), "error");
    EXPECT_NE(failure.at("error").get<std::string>().find("no-such-op"), std::string::npos);

    const json all = host.call("run", {{"target", tree}, {"workload", {{"engine", "read-all"}}}});
    EXPECT_EQ(all.at("value").at("bytes"), 305001);
    EXPECT_EQ(all.at("value").at("files"), 4);

    const json exec = host.call("exec", {{"argv", {"/bin/echo", "a%20b"}}});
    EXPECT_EQ(exec.at("value").at("stdout"), "a%20b%0A");
    EXPECT_EQ(host.call("poweroff", json::object()).at("type"), "result");
}

// What is declared is what the agent runs: an error may say what is missing here, not that nobody knows it.
TEST_F(TreeTest, EveryDeclaredEngineAndOperationIsThere)
{
    Host host;
    host.receive();
    for (const auto &engine : engine_names()) {
        const json answer = host.call("run", {{"target", tree}, {"workload", {{"engine", engine}}}});
        const bool unknown =
            answer.value("error", "").find("expected one of the engines") != std::string::npos;
        EXPECT_EQ(unknown, engine == "build") << answer; // that one is the host's
    }
    for (const auto &op : operation_names()) {
        const json workload = {{"op", op}, {"file", op == "lookup" ? "." : "large"}};
        EXPECT_NE(make_operation(tree, workload, "shared", 1), nullptr) << op;
    }
}

TEST_F(TreeTest, BenchmarksGiveASampleForEachRepetition)
{
    Host host;
    host.receive();
    const json workload = {{"id", "touch"},
                           {"engine", "benchmark"},
                           {"op", "mmap-touch"},
                           {"pattern", "random"},
                           {"variants", {"shared", "private"}},
                           {"cache", {"warm"}},
                           {"per", "page"},
                           {"passes", 2},
                           {"repetitions", 2}};
    const json answer = host.call("run", {{"target", tree}, {"workload", workload}});
    ASSERT_EQ(answer.at("type"), "result") << answer;
    const json results = answer.at("value").at("results");
    ASSERT_EQ(results.size(), 2U);
    EXPECT_EQ(results[1].at("variant"), "private");
    EXPECT_EQ(results[1].at("samples").size(), 2U);
    EXPECT_GT(results[1].at("samples")[0], 0);
    EXPECT_EQ(results[1].at("operations"), 2 * 74);
    EXPECT_TRUE(results[1].at("counters").contains("page-faults"));
}
