// SPDX-License-Identifier: Apache-2.0
// mkdaxfs in a guest, writing to memory: device-dax, a physical range, a dma-buf heap.
#include <algorithm>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "driver.hpp"
#include "harness.hpp"
#include "shared_libraries.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::contains;
using daxtest::json;
using daxtest::Ran;
using daxtest::target;

/// The medium holds an image of a tree made here; a second device, mounted at /tools, holds the tools
/// and the same tree.
class Targets : public daxtest::GuestTest {
protected:
    void SetUp() override
    {
        const auto tree = dir_.path() / "tools/tree";
        fs::create_directories(tree / "sub");
        std::ofstream(tree / "file") << "content\n";
        std::ofstream(tree / "sub/other") << std::string(5000, 'o');
        std::ofstream(tree / "sub/same") << std::string(5000, 'o');
        std::ofstream(tree / "big") << std::string(3 << 20, 'b');
        fs::create_directories(dir_.path() / "tools/small");
        std::ofstream(dir_.path() / "tools/small/file") << "small\n";
        daxtest::make_image(tree, image_);
        fs::resize_file(image_, 16 << 20);

        fs::create_directories(dir_.path() / "tools/bin");
        fs::create_directories(dir_.path() / "tools/lib");
        for (const std::string name : {"mkdaxfs", "fsck.daxfs", "dump.daxfs"}) {
            const auto tool = daxtest::bench().build / "mkdaxfs" / name;
            fs::copy_file(tool, dir_.path() / "tools/bin" / name);
            for (const auto &library : daxbench::library_closure(tool)) {
                fs::copy_file(library, dir_.path() / "tools/lib" / library.filename(),
                              fs::copy_options::skip_existing);
                if (library.filename().string().starts_with("ld-"))
                    loader_ = "/tools/lib/" + library.filename().string();
            }
        }
        ASSERT_NE(loader_, "");
        tools_ = dir_.path() / "tools.image";
        daxtest::make_image(dir_.path() / "tools", tools_);
    }

    void boot(const std::string &medium, std::vector<std::string> modules, const std::string &cmdline = "")
    {
        GuestTest::boot(medium, std::move(modules), cmdline);
        guest_->call("mount",
                     {{"type", "daxfs"}, {"source", "tools"}, {"options", "ro"}, {"target", "/tools"}},
                     Seconds(30));
    }

    Ran tool(const std::string &name, const std::string &arguments)
    {
        return sh(fmt::format("TMPDIR=/tmp {} --library-path /tools/lib /tools/bin/{} {}", loader_, name,
                              arguments));
    }
    Ran mkdaxfs(const std::string &arguments) { return tool("mkdaxfs", arguments); }
    void made(const std::string &arguments)
    {
        const auto ran = mkdaxfs("-q " + arguments);
        EXPECT_EQ(ran.status, 0) << arguments << ": " << ran.err;
    }
    void refused(const std::string &arguments, const std::string &why, int status = 1)
    {
        expect_refusal(mkdaxfs(arguments), arguments, why, status);
    }

    json manifest(const std::string &where = target) { return GuestTest::manifest("mmap-shared", where); }

    std::string loader_;
};

TEST_F(Targets, DeviceDax)
{
    boot("pmem", {"daxfs", "device_dax"}, "memmap=32M%0x10000000-1+0xefffffff");
    auto name = sh("ls /sys/bus/dax/devices").out;
    name.erase(std::min(name.find('\n'), name.size()));
    sh("echo " + name + " > /sys/bus/dax/drivers/device_dax/new_id");
    const auto dax = "/dev/" + name;
    ASSERT_EQ(sh("test -c " + dax).status, 0) << sh("ls /sys/bus/dax/devices").out;

    made("--force --device " + dax + " /tools/small"); // whatever the RAM held
    refused("--device " + dax + " /tools/tree", dax + " holds a DAXFS image: --force overwrites it");
    refused(dax + " /tools/tree", "--force overwrites it");
    sh("mkdir -p /tmp/a /tmp/b && mount -o bind /tmp/a /tmp/b");
    for (const std::string said : {"", "mkdaxfs: left out: /image, which is the image itself\n"}) {
        const auto inside = mkdaxfs("/tmp/b/image /tmp/a");
        EXPECT_EQ(inside.status, 0) << inside.err;
        EXPECT_EQ(inside.err, said);
    }
    sh("mkdir /tmp/a/t && mount -t tmpfs none /tmp/a/t"); // not below /tmp/b
    made("/tmp/a/t/image /tmp/b");
    sh("umount /tmp/a/t && umount /tmp/b");
    made("--force -x '*' " + dax + " /dev"); // where its name is, but not the image
    refused("--force --device " + dax + " /tools", dax + " has 33554432 bytes, the image needs more");
    refused("--device /dev/null /tools/tree", "expected a block device or /dev/daxX.Y, got /dev/null");
    refused("/dev/null /tools/tree", "no regular file, block device or device-dax");
    // What did not fit has left no image behind, and zeros where it began.
    made(dax + " /tools/tree");
    // stat(2) and lseek(2) say that it has no bytes.
    const auto checked = tool("fsck.daxfs", dax);
    EXPECT_EQ(checked.status, 0) << checked.out << checked.err;
    EXPECT_TRUE(contains(checked.out, "clean")) << checked.out;
    EXPECT_EQ(tool("dump.daxfs", "--cat /file " + dax).out, "content\n");

    ASSERT_EQ(sh("echo " + name + " > /sys/bus/dax/drivers/device_dax/unbind").status, 0);
    const auto mounted = mount("ro,validate", dax);
    ASSERT_EQ(mounted.status, 0) << mounted.err;
    const auto lines = manifest();
    unmount();
    daxtest::mount(*guest_);
    EXPECT_EQ(manifest(), lines);
    finish();
}

TEST_F(Targets, APhysicalRange)
{
    boot("ivshmem", {"daxfs"});
    const auto start = daxtest::shared_memory_start(*guest_);
    const auto range = fmt::format("{:#x},16M", start);
    const auto options = fmt::format("ro,validate,phys={:#x},size=16M", start);
    ASSERT_EQ(mount(options).status, 0);
    const auto lines = manifest();
    refused("--force --phys " + range + " /tools/tree", "overlaps an image that is mounted");
    unmount();

    refused("--phys " + range + " /tools/small", "holds a DAXFS image: --force overwrites it");
    made("--force --phys " + range + " /tools/small");
    ASSERT_EQ(mount(options).status, 0);
    EXPECT_EQ(sh("cat /mnt/x/file").out, "small\n");
    unmount();
    made("--force --phys " + range + " /tools/tree");
    ASSERT_EQ(mount(options).status, 0);
    EXPECT_EQ(manifest(), lines);
    unmount();

    refused("--force --phys " + range + " /tools", "has 16777216 bytes, the image needs more");
    EXPECT_TRUE(contains(mount(options).err, "no DAXFS image here")) << "half an image was left";
    refused("--phys 16M,4M /tools/tree", "overlaps System RAM");
    refused("--phys 0x1001,4M /tools/tree", "expected multiples of 4096", 2);
    refused("--phys somewhere,4M /tools/tree", "expected ADDR,SIZE", 2);
    // The second device's driver has claimed its memory.
    const auto claimed = sh("sed -n 's/-.*namespace0.0.*//p' /proc/iomem | tr -d ' '").out;
    ASSERT_FALSE(claimed.empty()) << sh("cat /proc/iomem").out;
    refused("--phys 0x" + claimed.substr(0, claimed.find('\n')) + ",4M /tools/tree",
            "(CONFIG_STRICT_DEVMEM), which holds: namespace0.0");
    sh("mount -t securityfs none /sys/kernel/security; echo integrity > "
       "/sys/kernel/security/lockdown");
    refused("--phys " + range + " /tools/tree", "a kernel that is not locked down");
    finish();
}

TEST_F(Targets, ADmaBufHeap)
{
    boot("pmem", {"daxfs"});
    sh("mkdir -p /mnt/y; mount -t debugfs debugfs /sys/kernel/debug");
    refused("--heap system /tools/tree", "--mount", 2);
    refused("--mount /mnt/y /tools/tree", "--heap", 2);
    refused("--heap nonsense --mount /mnt/y /tools/tree", "cannot open /dev/dma_heap/nonsense");
    if (sh("test -e /dev/dma_heap/system").status != 0)
        GTEST_SKIP() << "this kernel has no dma-buf heaps: CONFIG_DMABUF_HEAPS is not set";
    refused("--heap system --mount /tools/tree/file /tools/tree", "it is no directory");
    made("--heap system --mount /mnt/y /tools/tree");
    const auto lines = manifest("/mnt/y");
    EXPECT_TRUE(contains(sh("grep /mnt/y /proc/mounts").out, "ro,relatime,dmabuf=mkdaxfs"))
        << sh("cat /proc/mounts").out;
    daxtest::mount(*guest_);
    EXPECT_EQ(manifest(), lines);
    const auto buffers = [&] { return sh("tail -1 /sys/kernel/debug/dma_buf/bufinfo").out; };
    EXPECT_TRUE(contains(buffers(), "Total 1 objects")) << buffers();
    unmount("/mnt/y");
    EXPECT_TRUE(contains(buffers(), "Total 0 objects")) << buffers();
    finish();
}

// The lines of docs/tools.md that make the list for --order; the program is mkdaxfs itself.
TEST_F(Targets, AnOrderRecordedByTheTracepoint)
{
    boot("pmem", {"daxfs"});
    sh("mount -t tracefs tracefs /sys/kernel/tracing; "
       "echo 1 >/sys/kernel/tracing/events/daxfs/daxfs_fault/enable");
    EXPECT_EQ(mkdaxfs("--version").status, 0);
    const auto listed = sh(R"(
        sed -n 's/.* daxfs_fault: .* ino \([0-9]*\) .*/\1/p' /sys/kernel/tracing/trace | awk '!seen[$1]++' >/tmp/inodes
        (cd /tools && find . -type f -exec stat -c '%i %n' {} +) | sed 's/%/%25/g' |
            awk 'NR == FNR { inode = $1; sub(/[^ ]* /, ""); path[inode] = $0; next } $1 in path { print path[$1] }' - /tmp/inodes >/tmp/order
        cat /tmp/order)");
    ASSERT_EQ(listed.status, 0) << listed.err;
    const auto at = [&](const std::string &path) { return listed.out.find(path + "\n"); };
    EXPECT_EQ(at("." + loader_.substr(std::string("/tools").size())), 0U) << listed.out;
    EXPECT_NE(at("./bin/mkdaxfs"), std::string::npos) << listed.out;
    EXPECT_LT(at("./bin/mkdaxfs"), at("./lib/libc.so.6")) << listed.out;
    const auto files = std::count(listed.out.begin(), listed.out.end(), '\n');
    const auto made = mkdaxfs("--json --order /tmp/order -x 'libicu*' /tmp/image /tools");
    ASSERT_EQ(made.status, 0) << made.err;
    const auto summary = json::parse(made.out);
    EXPECT_LE(summary.at("unknown_files").get<long>(), 2) << "only what was left out";
    EXPECT_EQ(summary.at("ordered_files").get<long>() + summary.at("unknown_files").get<long>(), files);
    finish();
}

} // namespace
