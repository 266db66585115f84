// SPDX-License-Identifier: Apache-2.0
// The parts mkdaxfs is made of: those that take in a tree, its threads, and what it says meanwhile.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "digest.hpp"
#include "error.hpp"
#include "memory_file.hpp"
#include "progress.hpp"
#include "sparse.hpp"
#include "tree.hpp"
#include "workers.hpp"
#include "xattr_sets.hpp"

namespace daxfs {
namespace {

TEST(Printable, EscapesWhatALineCannotHold)
{
    EXPECT_EQ(printable("a b/\xc3\xa9"), "a b/\xc3\xa9");
    EXPECT_EQ(printable("new\nline\\"), "new\\x0aline\\x5c");
}

TEST(Sparse, AnnouncesTheDataAheadOfReadingIt)
{
    ReadAhead ahead;
    constexpr std::uint64_t mib = 1 << 20;
    const std::vector<ByteRange> ranges = {{0, 3 * mib}, {9 * mib, 30 * mib}};
    MemoryFile file(std::string(40 * mib, 'x'));
    file.set_ranges(ranges);
    std::vector<Extent> extents;
    EXPECT_TRUE(find_extents(file, 40 * mib, extents, &ahead));
    std::vector<ByteRange> joined;
    for (const ByteRange &range : file.announced) {
        EXPECT_LE(range.end - range.begin, 8 * mib);
        if (!joined.empty() && joined.back().end == range.begin)
            joined.back().end = range.end;
        else
            joined.push_back(range);
    }
    ASSERT_EQ(joined.size(), ranges.size());
    for (std::size_t i = 0; i < ranges.size(); ++i)
        EXPECT_TRUE(joined[i].begin == ranges[i].begin && joined[i].end == ranges[i].end) << i;
    file.announced.clear();
    find_extents(file, 40 * mib, extents, nullptr);
    EXPECT_TRUE(file.announced.empty());
    // What is in memory is only announced once something was not.
    MemoryFile cached(std::string(mib, 'x'));
    cached.on_disk = false;
    ReadAhead none;
    find_extents(cached, mib, extents, &none);
    EXPECT_TRUE(cached.announced.empty());
    find_extents(cached, mib, extents, &ahead);
    EXPECT_EQ(cached.announced.size(), 1u);
}

TEST(Sparse, CanBeStopped)
{
    MemoryFile file(std::string(1 << 20, '\0'));
    std::vector<Extent> extents;
    const std::atomic<bool> stop = true;
    EXPECT_THROW(find_extents(file, 1 << 20, extents, nullptr, &stop), Interrupted);
    EXPECT_THROW(Digester(DigestKind::sha256).update_zeros(1ULL << 62, &stop), Interrupted);
}

TEST(Sparse, FindsExactlyTheLongRuns)
{
    // Every start and length around the threshold, in a file of 64 blocks and a bit.
    constexpr std::uint64_t block = 4096;
    for (std::uint64_t start = 0; start < 40; ++start) {
        for (std::uint64_t len = 15; len < 25; ++len) {
            std::string bytes(64 * block + 100, 'x');
            bytes.replace(start * block, len * block, len * block, '\0');
            MemoryFile file(bytes);
            std::vector<Extent> extents;
            ASSERT_EQ(find_extents(file, bytes.size(), extents, nullptr), len >= 16) << start << " " << len;
            std::uint64_t covered = 0;
            for (const Extent &extent : extents)
                covered += extent.len;
            ASSERT_EQ(covered, len >= 16 ? (65 - len) * block : 0) << start << " " << len;
        }
    }
}

TEST(Sparse, ZeroTailOfAPartialBlock)
{
    std::string bytes(4096 + 70000, '\0');
    bytes[0] = 'x';
    MemoryFile file(bytes);
    std::vector<Extent> extents;
    ASSERT_TRUE(find_extents(file, bytes.size(), extents, nullptr));
    ASSERT_EQ(extents.size(), 1u);
    EXPECT_EQ(extents[0].len, 4096u);
}

TEST(XattrSets, EqualSetsHaveOneId)
{
    XattrSets sets;
    EXPECT_EQ(sets.intern({}), 0u);
    const auto first = sets.intern({{1, "b", "2"}, {1, "a", "1"}});
    EXPECT_EQ(sets.intern({{1, "a", "1"}, {1, "b", "2"}}), first);
    EXPECT_NE(sets.intern({{2, "a", "1"}, {1, "b", "2"}}), first);
    EXPECT_EQ(sets.bytes(first).size() % 4, 0u);
}

TEST(XattrSets, Names)
{
    Xattr xattr;
    for (const std::string name : {"user.a", "trusted.b.c", "security.capability", "system.posix_acl_access",
                                   "system.posix_acl_default"}) {
        ASSERT_TRUE(split_xattr_name(name, xattr));
        EXPECT_EQ(join_xattr_name(xattr.index, xattr.name), name);
    }
    EXPECT_FALSE(split_xattr_name("system.nfs4_acl", xattr));
    EXPECT_FALSE(split_xattr_name("btrfs.compression", xattr));
}

TEST(Tree, NumbersDoNotDependOnTheOrderOfAdding)
{
    Tree tree;
    Node dir;
    dir.mode = S_IFDIR | 0755;
    Node file;
    file.mode = S_IFREG | 0644;
    tree.add_node(dir);
    const NodeId z = tree.add_node(dir);
    const NodeId a = tree.add_node(file);
    const NodeId inner = tree.add_node(file);
    tree.add_entry(z, "inner", inner);
    tree.add_entry(0, "z", z);
    tree.add_entry(z, "also-a", a);
    tree.add_entry(0, "a", a);
    tree.finish({2, nullptr});
    EXPECT_EQ(tree.by_ino, (std::vector<NodeId>{0, a, z, inner}));
    EXPECT_EQ(tree.nodes[0].nlink, 3u);
    EXPECT_EQ(tree.nodes[a].nlink, 2u);
    EXPECT_EQ(tree.path(a), "a");
    EXPECT_EQ(tree.path(inner), "z/inner");
    EXPECT_THROW(tree.add_entry(0, std::string(256, 'n'), a), std::runtime_error);
}

TEST(Workers, FirstFailureEndsAll)
{
    const Workers workers = {4, nullptr};
    std::atomic<int> ran = 0;
    EXPECT_THROW(workers.for_each(1000000,
                                  [&](std::size_t i) {
                                      ++ran;
                                      if (i == 10)
                                          throw std::runtime_error("ten");
                                  }),
                 std::runtime_error);
    EXPECT_LT(ran, 1000000);
    const std::atomic<bool> stop = true;
    EXPECT_THROW((Workers{2, &stop}.for_each(10, [](std::size_t) {})), Interrupted);
}

TEST(Workers, GrowWhileTheyWait)
{
    const unsigned most = std::max(1u, std::thread::hardware_concurrency()) + 3;
    std::mutex mutex;
    std::set<std::thread::id> seen;
    Workers{most, nullptr}.for_each(200, [&](std::size_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        const std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(seen.size(), most);
}

// More threads than cores do not wait, they take each other's cores.
TEST(Workers, DoNotGrowWhileTheyCompute)
{
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    std::atomic<bool> done = false;
    std::vector<std::jthread> others;
    for (unsigned i = 0; i < 3 * cores; ++i)
        others.emplace_back([&] {
            while (!done) {
            }
        });
    std::mutex mutex;
    std::set<std::thread::id> seen;
    Workers{cores + 8, nullptr}.run([&](Crew &crew) {
        for (int i = 0; i < 5; ++i)
            crew.piece([] {
                const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
                while (std::chrono::steady_clock::now() < end) {
                }
            });
        const std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
    });
    done = true;
    EXPECT_LE(seen.size(), cores);
}

TEST(Progress, TellsARateOnceItKnowsOne)
{
    using namespace std::chrono_literals;
    const auto start = std::chrono::steady_clock::now();
    Progress progress;
    progress.entries = 7;
    ProgressLine line("layer 1 of 2: ");
    EXPECT_EQ(line.text(progress, start), "layer 1 of 2: 7 entries read");
    progress.total = 800'000'000;
    progress.done = 400'000'000;
    EXPECT_EQ(line.text(progress, start + 1s), "layer 1 of 2: 400 of 800 MB, 50 %");
    EXPECT_EQ(line.text(progress, start + 2s), "layer 1 of 2: 400 of 800 MB, 50 %");
    progress.done = 600'000'000;
    EXPECT_EQ(line.text(progress, start + 3s), "layer 1 of 2: 600 of 800 MB, 75 %, 100 MB/s, 2 s left");
}

TEST(Turns, PassInOrder)
{
    std::vector<std::size_t> order;
    std::atomic<std::size_t> next = 0;
    Turns turns;
    const Workers workers = {4, nullptr};
    workers.run([&](Crew &) {
        for (std::size_t i = next++; i < 1000; i = next++)
            turns.take(i, [&] { order.push_back(i); });
    });
    ASSERT_EQ(order.size(), 1000u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

} // namespace
} // namespace daxfs
