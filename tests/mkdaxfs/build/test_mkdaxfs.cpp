// SPDX-License-Identifier: Apache-2.0
// The parts mkdaxfs is made of.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "build_image.hpp"
#include "digest.hpp"
#include "error.hpp"
#include "physical_range.hpp"
#include "placer.hpp"
#include "progress.hpp"
#include "small_files.hpp"
#include "sparse.hpp"
#include "text_source.hpp"
#include "tree.hpp"
#include "workers.hpp"
#include "xattr_sets.hpp"

namespace daxfs {
namespace {

constexpr std::uint64_t huge = 2 << 20;

TEST(Printable, EscapesWhatALineCannotHold)
{
    EXPECT_EQ(printable("a b/\xc3\xa9"), "a b/\xc3\xa9");
    EXPECT_EQ(printable("new\nline\\"), "new\\x0aline\\x5c");
}

TEST(Placer, FillsGapsFirstFit)
{
    Placer placer(8192);
    EXPECT_EQ(placer.aligned(huge + 4096, huge, 0), huge);
    EXPECT_EQ(placer.aligned(huge, huge, 0), 3 * huge);
    EXPECT_EQ(placer.packed(4096), 8192u);
    EXPECT_EQ(placer.packed(huge - 8192), 2 * huge + 4096); // the first gap is too short by now
    EXPECT_EQ(placer.packed(huge - 16384), 12288u);
    EXPECT_EQ(placer.packed(8192), 4 * huge);
    EXPECT_EQ(placer.packed(4096), huge - 4096);
    EXPECT_EQ(placer.unused(), 4096u);
    EXPECT_EQ(placer.end(), 4 * huge + 8192);
}

TEST(Placer, KeepsThePhase)
{
    Placer placer(4096);
    EXPECT_EQ(placer.aligned(huge, huge, 5 * 4096) % huge, 5u * 4096);
    EXPECT_EQ(placer.aligned(huge, huge, 0) % huge, 0u);
}

TEST(Placer, NothingOverlaps)
{
    std::mt19937_64 random(1);
    Placer placer(0);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
    for (int i = 0; i < 3000; ++i) {
        const std::uint64_t len = (random() % 600 + 1) * 4096;
        runs.emplace_back(i % 7 == 0 ? placer.aligned(len, huge, 0) : placer.packed(len), len);
    }
    std::sort(runs.begin(), runs.end());
    std::uint64_t end = 0;
    std::uint64_t used = 0;
    for (const auto &[off, len] : runs) {
        ASSERT_GE(off, end);
        end = off + len;
        used += len;
    }
    EXPECT_EQ(end, placer.end());
    EXPECT_EQ(used + placer.unused(), placer.end());
}

// A file in memory, from a source that knows of no holes.
class MemoryFile : public FileContent {
public:
    explicit MemoryFile(std::string bytes) : bytes_(std::move(bytes)), ranges_{{0, bytes_.size()}} {}
    void read(std::uint64_t offset, std::span<std::byte> to) override
    {
        ASSERT_LE(offset + to.size(), bytes_.size());
        std::memcpy(to.data(), bytes_.data() + offset, to.size());
    }
    std::vector<ByteRange> data_ranges() override { return ranges_; }
    void check_unchanged() override {}
    bool read_now(std::uint64_t offset, std::span<std::byte> to) override
    {
        if (on_disk)
            return false;
        read(offset, to);
        return true;
    }
    void will_read(std::uint64_t offset, std::uint64_t len) override
    {
        announced.push_back({offset, offset + len});
    }

    void set_ranges(std::vector<ByteRange> ranges) { ranges_ = std::move(ranges); }

    std::vector<ByteRange> announced;
    bool on_disk = true;

private:
    std::string bytes_;
    std::vector<ByteRange> ranges_;
};

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

TEST(PhysicalRange, IsGivenInBytes)
{
    const auto parsed = [](const char *text) {
        const PhysicalRange range = parse_physical_range(text);
        return std::pair<unsigned long long, unsigned long long>(range.start, range.size);
    };
    EXPECT_EQ(parsed("0x100000000,256M"), (std::pair{1ULL << 32, 256ULL << 20}));
    EXPECT_EQ(parsed("4g,0X1000"), (std::pair{4ULL << 30, 4096ULL}));
    EXPECT_EQ(parsed("0xfffffffffffff000,4096").second, 4096u);
    for (const char *wrong : {"", "4G", "4G,", ",4G", "4G,4MB", "x,4K", "-1,4K", "4G,0", "4G,4095", "1,4K",
                              "0xfffffffffffff000,8K", "17179869184T,4K", "4G,4K,"})
        EXPECT_THROW(parse_physical_range(wrong), std::invalid_argument) << wrong;
}

TEST(PhysicalRange, IsRefusedWhereItIsInUse)
{
    const auto refusal = [](std::uint64_t start, std::uint64_t size) -> std::string {
        std::istringstream iomem("00100000-1fffffff : System RAM\n"
                                 "  01000000-01ffffff : Kernel code\n"
                                 "100000000-1047fffff : namespace0.0\n"
                                 "280000000-280ffffff : 0000:00:04.0\n"
                                 "  280000000-2807fffff : daxfs\n");
        const PhysicalRange range = {start, size};
        try {
            refuse_if_in_use(range, claims_on(range, iomem));
        } catch (const std::runtime_error &refused) {
            return refused.what();
        }
        return "";
    };
    EXPECT_NE(refusal(0x1ffff000, 4096).find("System RAM"), std::string::npos);
    EXPECT_EQ(refusal(0x20000000, 4096), "");
    EXPECT_EQ(refusal(0x100000000, 4096), "");
    EXPECT_NE(refusal(0x2807ff000, 8192).find("mounted"), std::string::npos);
    EXPECT_EQ(refusal(0x280800000, 4096), "");
    EXPECT_NE(refusal(0xff000, ~0ULL - 0xfefff).find("System RAM"), std::string::npos);
    std::istringstream hidden("00000000-00000000 : System RAM\n");
    EXPECT_THROW(claims_on({1 << 20, 4096}, hidden), std::runtime_error);
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

// Small files, every other one on a disk: their bytes are the number of the file.
class HalfOnDisk : public TreeSource {
public:
    std::unique_ptr<Tree> scan(const Workers &) override { return nullptr; }
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override
    {
        const std::lock_guard lock(mutex_);
        most_open = std::max(most_open, ++open_now);
        return std::make_unique<File>(*this, node, tree.nodes[node].size);
    }

    mutable unsigned open_now = 0;
    mutable unsigned most_open = 0;

private:
    void close() const
    {
        const std::lock_guard lock(mutex_);
        --open_now;
    }

    class File : public MemoryFile {
    public:
        File(const HalfOnDisk &source, NodeId node, std::uint64_t size)
            : MemoryFile(std::string(size, static_cast<char>(node))), source_(source)
        {
            on_disk = node % 2 != 0;
        }
        ~File() override { source_.close(); }

    private:
        const HalfOnDisk &source_;
    };

    mutable std::mutex mutex_;
};

class MemoryOutput : public Output {
public:
    explicit MemoryOutput(std::size_t size) : bytes(size) {}
    void write(std::uint64_t offset, std::span<const std::byte> from) override
    {
        ASSERT_LE(offset + from.size(), bytes.size());
        std::copy(from.begin(), from.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void read(std::uint64_t, std::span<std::byte>) const override {}
    void zero(std::uint64_t, std::uint64_t) override {}
    void commit(std::span<const std::byte>, std::uint64_t, bool) override {}

    std::vector<std::byte> bytes;
};

// A device whose cache goes to its medium when it is told to, as long as it can.
class CachedDevice : public Output {
public:
    CachedDevice() : cache_(2 << 20, std::byte{7}), medium(cache_) {}
    void begin() { take_over("it", cache_.size(), true); }
    void write(std::uint64_t offset, std::span<const std::byte> from) override
    {
        std::copy(from.begin(), from.end(), cache_.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void read(std::uint64_t offset, std::span<std::byte> to) const override
    {
        std::copy_n(cache_.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
    }
    void zero(std::uint64_t offset, std::uint64_t size) override { write_zeros(offset, size); }
    void commit(std::span<const std::byte> super, std::uint64_t size, bool sync) override
    {
        commit_in_place(super, size, sync);
    }
    std::byte cached(std::size_t offset) const { return cache_[offset]; }

private:
    void bring_to_medium(std::uint64_t offset, std::uint64_t size) override
    {
        if (flushes_left-- == 0)
            throw std::runtime_error("no medium");
        std::copy_n(cache_.begin() + static_cast<std::ptrdiff_t>(offset), size,
                    medium.begin() + static_cast<std::ptrdiff_t>(offset));
    }

    std::vector<std::byte> cache_;

public:
    std::vector<std::byte> medium;
    int flushes_left = 3;
};

// Whenever the medium ends, a superblock is there only with what belongs to it.
TEST(Output, TheSuperblockIsLastOnTheMedium)
{
    constexpr std::size_t image = 1600 << 10;
    const std::vector<std::byte> super(4096, std::byte{1});
    const std::vector<std::byte> data(image - super.size(), std::byte{2});
    for (int flushes = 0; flushes <= 3; ++flushes) {
        CachedDevice device;
        device.flushes_left = flushes;
        bool done = false;
        try {
            device.begin();
            device.write(super.size(), data);
            device.commit(super, image, true);
            done = true;
        } catch (const std::runtime_error &) {
            EXPECT_NE(device.cached(0), std::byte{1}) << flushes;
        }
        EXPECT_EQ(done, flushes == 3);
        EXPECT_EQ(device.medium[0], std::byte(flushes == 0 ? 7 : done ? 1 : 0));
        EXPECT_EQ(device.medium[image - 1], std::byte(flushes < 2 ? 7 : 2));
    }
    CachedDevice hasty;
    hasty.begin();
    hasty.commit(super, image, false);
    EXPECT_EQ(hasty.cached(0), std::byte{1});
    EXPECT_EQ(hasty.flushes_left, 2);
}

// What was on the target is gone, and the image is not there.
TEST(Output, InterruptedInPlace)
{
    class Interrupting : public MemoryOutput {
    public:
        Interrupting(std::atomic<bool> &stop, bool in_place)
            : MemoryOutput(1 << 20), stop_(stop), in_place_(in_place)
        {
        }
        void write(std::uint64_t, std::span<const std::byte>) override { stop_ = true; }
        void zero(std::uint64_t, std::uint64_t) override { stop_ = true; }
        void commit(std::span<const std::byte>, std::uint64_t, bool) override { FAIL(); }
        bool is_in_place() const override { return in_place_; }

    private:
        std::atomic<bool> &stop_;
        bool in_place_;
    };
    for (const bool in_place : {false, true}) {
        std::istringstream text("daxfs-text 1\nreg /file size=5\n0 5\n");
        TextSource source(text, "-", PathFilter());
        std::atomic<bool> stop = false;
        std::string why;
        try {
            build_image(source, [&] { return std::make_shared<Interrupting>(stop, in_place); }, {},
                        {1, &stop});
        } catch (const Interrupted &interrupted) {
            why = interrupted.what();
        }
        EXPECT_EQ(why, in_place ? "interrupted, there is no image on the target now"
                                : "interrupted, nothing was written");
    }
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

TEST(SmallFiles, AreRightInWhateverOrderADiskBringsThem)
{
    Tree tree;
    std::vector<NodeId> files;
    std::uint64_t blocks = 0;
    for (std::uint64_t i = 0; i < 250; ++i) {
        Node node;
        node.mode = S_IFREG;
        node.size = 1 + i * 37 % 9000;
        blocks += (node.size + 4095) / 4096;
        files.push_back(tree.add_node(node));
    }
    const ContentOptions options = {huge, true, {}};
    rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit few = {128, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (const auto &[threads, awaited] :
         {std::pair(1u, 16u), std::pair(16u, 4u), std::pair(50u, 0u), std::pair(1000u, 0u)}) {
        const HalfOnDisk source;
        const Workers workers = {threads, nullptr};
        Placer placer(4096);
        MemoryOutput output(4096 + blocks * 4096);
        ContentSum sum;
        EXPECT_EQ(SmallFiles(tree, source, workers, options, files).write(output, placer, sum), 0u);
        EXPECT_EQ(placer.end(), output.bytes.size());
        for (const NodeId id : files) {
            const Node &node = tree.nodes[id];
            for (std::uint64_t at = 0; at < (node.size + 4095) / 4096 * 4096; ++at)
                ASSERT_EQ(output.bytes[node.data + at], at < node.size ? std::byte(id) : std::byte{0})
                    << id << " " << at;
        }
        const unsigned running =
            std::max(1u, std::thread::hardware_concurrency()); // nothing here makes more wait
        EXPECT_LE(source.most_open, running * (1 + awaited)) << threads;
        EXPECT_GT(source.most_open, std::min(8u, awaited)) << threads; // of 16 in a piece
        EXPECT_EQ(source.open_now, 0u);
    }
    setrlimit(RLIMIT_NOFILE, &before);
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
