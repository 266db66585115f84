// SPDX-License-Identifier: Apache-2.0
// Where the memory comes from: a physical range, and a pmem device whose DAX is off.
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "driver.hpp"
#include "harness.hpp"
#include "image.hpp"
#include "media.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::contains;
using daxtest::json;
using daxtest::target;

class Media : public testing::Test {
protected:
    void SetUp() override
    {
        fs::create_directories(dir_.path() / "tree");
        std::ofstream(dir_.path() / "tree/file") << "content\n";
        std::ofstream(dir_.path() / "tree/big") << std::string(3 << 20, 'b');
        daxtest::make_image(dir_.path() / "tree", image_);
        // The shared memory device's BAR has a power of two of bytes.
        fs::resize_file(image_, 16 << 20);
    }

    daxbench::Guest boot(const std::string &medium, std::vector<std::string> modules)
    {
        daxtest::BootOptions options;
        options.medium = medium;
        options.modules = std::move(modules);
        return daxtest::boot(image_, dir_.path() / "logs", options);
    }

    /// Mounts by busybox in the guest; status and what it printed.
    static json busybox_mount(daxbench::Guest &guest, const std::string &options)
    {
        daxtest::run(guest, {"/bin/busybox", "mkdir", "-p", target});
        return daxtest::run(guest, {"/bin/busybox", "mount", "-t", "daxfs", "-o", options, "none", target});
    }

    daxbench::TempDir dir_;
    fs::path image_ = dir_.path() / "image";
};

/// "phys=…,size=…" of the shared memory device's BAR in the guest.
std::string shared_memory_options(daxbench::Guest &guest)
{
    char line[80];
    std::snprintf(line, sizeof line, "ro,phys=0x%lx,size=16M", daxtest::shared_memory_start(guest));
    return line;
}

TEST_F(Media, MountsAPhysicalRange)
{
    auto guest = boot("ivshmem", {"daxfs"});
    const auto options = shared_memory_options(guest);
    const auto mounted = busybox_mount(guest, options);
    ASSERT_EQ(mounted.at("status"), 0) << mounted.dump();
    EXPECT_EQ(daxtest::run(guest, {"/bin/busybox", "cat", std::string(target) + "/file"}).at("stdout"),
              "content%0A");
    for (const std::string mode : {"read", "mmap-shared", "mmap-private"})
        EXPECT_EQ(
            guest.call("manifest", {{"target", target}, {"mode", mode}}, Seconds(60)).at("lines").size(), 3U)
            << mode;

    // The same range once more is the same super block; the range shows in mountinfo.
    daxtest::run(guest, {"/bin/busybox", "mkdir", "-p", "/mnt/second"});
    EXPECT_EQ(
        daxtest::run(guest, {"/bin/busybox", "mount", "-t", "daxfs", "-o", options, "none", "/mnt/second"})
            .at("status"),
        0);
    EXPECT_TRUE(contains(daxtest::run(guest, {"/bin/busybox", "grep", "daxfs", "/proc/mounts"}).at("stdout"),
                         "phys=0x"));
    guest.call("umount", {{"target", "/mnt/second"}}, Seconds(30));
    guest.call("umount", {{"target", target}}, Seconds(30));
    EXPECT_EQ(daxtest::run(guest, {"/bin/busybox", "grep", "daxfs", "/proc/iomem"}).at("status"), 1)
        << "the range is still claimed after the last unmount";
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

// By the agent, as the bench's filesystems declare them: from each kind of memory the same bytes.
TEST_F(Media, EachKindOfMemoryHasTheSameFiles)
{
    const std::string range = fmt::format("ro,phys={:#x},size=16M", daxbench::range_start);
    struct Kind {
        std::string medium;
        std::vector<std::string> modules;
        std::string options = "ro";
        std::string device = {}; // what the kernel must have for it
    };
    const std::vector<Kind> kinds = {{"pmem", {"daxfs"}},
                                     {"reserved", {"daxfs"}, range},
                                     {"memmap-pmem", {"daxfs", "nd_e820"}},
                                     {"device-dax", {"daxfs", "device_dax"}},
                                     {"dma-heap", {"daxfs"}, "ro", "/dev/dma_heap/system"},
                                     {"udmabuf", {"daxfs"}, "ro", "/dev/udmabuf"},
                                     {"drm", {"daxfs", "vgem"}}};
    json wanted;
    for (const auto &kind : kinds) {
        auto guest = boot(kind.medium, kind.modules);
        if (!kind.device.empty() &&
            daxtest::run(guest, {"/bin/busybox", "test", "-e", kind.device}).at("status") != 0) {
            guest.shutdown();
            continue; // Regions.ADmaBuf* say what this kernel lacks
        }
        guest.call("mount",
                   {{"type", "daxfs"},
                    {"source", daxbench::medium_named(kind.medium).source},
                    {"options", kind.options},
                    {"target", target}},
                   Seconds(60));
        const auto lines =
            guest.call("manifest", {{"target", target}, {"mode", "mmap-shared"}}, Seconds(60)).at("lines");
        if (wanted.is_null())
            wanted = lines;
        EXPECT_EQ(lines.size(), 3U) << kind.medium;
        EXPECT_EQ(lines, wanted) << kind.medium;
        guest.call("umount", {{"target", target}}, Seconds(30));
        daxtest::expect_clean_log(guest);
        guest.shutdown();
    }
}

TEST_F(Media, RefusesPhysicalRangesThatCannotBe)
{
    auto guest = boot("ivshmem", {"daxfs"});
    const auto refused = [&](const std::string &options, const std::string &why) {
        EXPECT_NE(busybox_mount(guest, options).at("status"), 0) << options;
        const auto lines = guest.call("dmesg", json::object(), Seconds(30)).dump();
        EXPECT_TRUE(contains(lines, why)) << options << " gave " << lines;
    };
    refused("ro,phys=0x1000000,size=4M", "overlaps System RAM");
    refused("ro,phys=0x1000001,size=4M", "must be multiples of 4096");
    refused("ro,phys=0x1000000", "needs size=BYTES");
    refused("ro,phys=0xfffffffffffff000,size=4M", "beyond this CPU");
    refused("ro,phys=somewhere,size=4M", "expected bytes");
    guest.shutdown();
}

TEST_F(Media, ADaxFilesystemOnADeviceWithoutDaxIsNotPublished)
{
    const auto erofs = dir_.path() / "erofs";
    daxbench::run_checked(
        {"mkfs.erofs", "-Enoinline_data", "--quiet", erofs.string(), (dir_.path() / "tree").string()});
    daxtest::pad_image(erofs);
    image_ = erofs;
    auto guest = boot("nvdimm-nodax", {"erofs"});
    std::string error;
    try {
        guest.call("mount",
                   {{"type", "erofs"}, {"source", "pmem"}, {"options", "ro,dax=always"}, {"target", target}},
                   Seconds(30));
        guest.call("prove",
                   {{"target", target},
                    {"type", "erofs"},
                    {"options", {"dax=always"}},
                    {"dax", true},
                    {"page_cache", false}},
                   Seconds(60));
    } catch (const std::exception &caught) {
        error = caught.what();
    }
    EXPECT_TRUE(contains(error, "DAX")) << "a mount without DAX passed for one with it: " << error;
    guest.shutdown();
}

TEST_F(Media, WhatDoesNotFillThePageCacheIsNotPublishedAsIfItDid)
{
    auto guest = boot("pmem", {"daxfs"});
    daxtest::mount(guest);
    std::string error;
    try {
        guest.call("prove", {{"target", target}, {"type", "daxfs"}, {"dax", true}, {"page_cache", true}},
                   Seconds(60));
    } catch (const std::exception &caught) {
        error = caught.what();
    }
    EXPECT_TRUE(contains(error, "to fill the page cache, it grew by")) << error;
    guest.shutdown();
}

// A kernel of the bench's own has what its configuration names, and nothing else.
TEST_F(Media, TheKernelHasWhatTheBenchReads)
{
    auto guest = boot("pmem", {"daxfs"});
    const auto ran = daxtest::run_plain(
        guest, {"/bin/busybox", "cat", "/proc/slabinfo", "/proc/meminfo", "/proc/iomem", "/proc/vmstat"});
    EXPECT_EQ(ran.status, 0) << ran.err;
    for (const std::string file :
         {"/proc/kpageflags", "/proc/kpagecount", "/proc/self/pagemap", "/proc/self/smaps"})
        EXPECT_EQ(daxtest::run_plain(guest, {"/bin/busybox", "test", "-r", file}).status, 0) << file;
    guest.shutdown();
}

TEST_F(Media, DaxfsRefusesADeviceWithoutDax)
{
    auto guest = boot("nvdimm-nodax", {"daxfs"});
    std::string error;
    try {
        daxtest::mount(guest);
    } catch (const std::exception &caught) {
        error = caught.what();
    }
    EXPECT_TRUE(contains(error, "has no DAX")) << error;
    guest.shutdown();
}

} // namespace
