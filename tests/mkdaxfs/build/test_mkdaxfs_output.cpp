// SPDX-License-Identifier: Apache-2.0
// The parts of mkdaxfs that write an image: where in it data goes, and onto what.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "build_image.hpp"
#include "error.hpp"
#include "memory_file.hpp"
#include "output.hpp"
#include "physical_range.hpp"
#include "placer.hpp"
#include "small_files.hpp"
#include "source.hpp"
#include "text_source.hpp"
#include "tree.hpp"
#include "workers.hpp"

namespace daxfs {
namespace {

constexpr std::uint64_t huge = 2 << 20;

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

} // namespace
} // namespace daxfs
