// SPDX-License-Identifier: Apache-2.0
// Where the memory comes from, by mount(8) and mount.daxfs.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "regions_guest.hpp"

/// All bytes, in all ways of reading, are those of the same image on pmem; and no trace is left.
void daxtest::Regions::check_dma_buf(const std::string &options)
{
    copy_image();
    const auto at_boot = logged("daxfs: ");
    std::map<std::string, json> wanted;
    daxtest::mount(*guest_);
    for (const std::string mode : {"read", "mmap-shared", "mmap-private"})
        wanted[mode] = manifest(mode);
    EXPECT_EQ(wanted["read"].size(), 5U);
    unmount();

    ASSERT_EQ(sh("mv /tmp/image '/tmp/an image, a\\b'").status, 0);
    const auto mounted = mount(options + ",image=\"/tmp/an image, a\\b\"", "a source\n");
    ASSERT_EQ(mounted.status, 0) << mounted.err;
    EXPECT_EQ(sh("rm /tmp/an*").status, 0);
    for (const auto &[mode, lines] : wanted)
        EXPECT_EQ(manifest(mode), lines) << mode;
    const auto line = sh("grep daxfs /proc/mounts").out;
    EXPECT_TRUE(contains(line, "a\\040source\\012 ")) << line;
    EXPECT_TRUE(contains(line, ",dmabuf=an\\040image\\054\\040a\\134b ")) << line;
    EXPECT_TRUE(contains(buffers(), "Total 1 objects")) << buffers();
    EXPECT_NE(run({"/bin/busybox", "rmmod", "daxfs"}).status, 0);
    unmount();
    EXPECT_TRUE(contains(buffers(), "Total 0 objects")) << buffers();
    EXPECT_EQ(logged("daxfs: ") - at_boot, 2U) << "one line at each mount, none in use";
    EXPECT_EQ(run({"/bin/busybox", "rmmod", "daxfs"}).status, 0);
    finish();
}

namespace {

namespace fs = std::filesystem;
using daxtest::contains;
using daxtest::Regions;
using daxtest::target;

TEST_F(Regions, ADmaBufOfTheSystemHeap)
{
    boot("pmem", {"daxfs"});
    if (!has("/dev/dma_heap/system"))
        GTEST_SKIP() << "this kernel has no dma-buf heaps: CONFIG_DMABUF_HEAPS is not set";
    check_dma_buf("dmabuf-heap=system");
}

TEST_F(Regions, ADmaBufOfAMemfd)
{
    boot("pmem", {"daxfs"});
    if (!has("/dev/udmabuf"))
        GTEST_SKIP() << "this kernel has no udmabuf: CONFIG_UDMABUF is not set";
    check_dma_buf("udmabuf");
}

TEST_F(Regions, ADmaBufOfADrmDevice)
{
    boot("pmem", {"daxfs", "vgem"});
    check_dma_buf("dmabuf-drm=/dev/dri/card0");
}

TEST_F(Regions, ADmaBufMountedTwice)
{
    boot("pmem", {"daxfs"});
    if (!has("/dev/udmabuf"))
        GTEST_SKIP() << "this kernel has no udmabuf: CONFIG_UDMABUF is not set";
    copy_image();
    probe("IsADmaBufMountedTwice");
    EXPECT_TRUE(contains(buffers(), "Total 0 objects")) << buffers();
    finish();
}

TEST_F(Regions, RefusesWhatIsNoDmaBuf)
{
    boot("pmem", {"daxfs", "vgem"});
    copy_image();
    refused("dmabuf-heap=system", "image=FILE", 1);
    refused("udmabuf,dmabuf-heap=system,image=/tmp/image", "got two", 1);
    refused("image=/tmp/image", "needs dmabuf-heap=NAME", 1);
    refused("udmabuf,image=/tmp/nowhere", "cannot open /tmp/nowhere: No such file", 2);
    refused("udmabuf,image=/tmp", "/tmp is not a file or block device with an image", 2);
    refused("dmabuf-heap=nonsense,image=/tmp/image", "cannot open /dev/dma_heap/nonsense", 2);
    refused("dmabuf-drm=/dev/null,image=/tmp/image", "gives no buffer", 2);
    refused("dmabuf=x", "expected dmabuf=FILE-DESCRIPTOR", 1);
    refused("dmabuf=0", "this file is no dma-buf");
    refused("dmabuf=99", "Bad file descriptor");
    refused("nonsense=1", "Unknown parameter 'nonsense'");
    refused("ro", "blockdev");
    // Without mount.daxfs a descriptor cannot be given.
    EXPECT_NE(run({"/bin/busybox", "mount", "-t", "daxfs", "-o", "dmabuf=0", "none", target}).status, 0);
    EXPECT_EQ(logged("dmabuf= takes a file descriptor by fsconfig"), 1U);
    // What is in the buffer is no image: the buffer is gone with the refusal.
    ASSERT_EQ(sh("dd if=/dev/zero of=/tmp/zeros bs=1M count=1").status, 0);
    refused("dmabuf-drm=/dev/dri/card0,image=/tmp/zeros", "no DAXFS image here: magic is 0x0");
    EXPECT_TRUE(contains(buffers(), "Total 0 objects")) << buffers();
    finish();
}

TEST_F(Regions, APhysicalRangeIsRefusedForEachReason)
{
    boot("ivshmem", {"daxfs"});
    const auto phys = daxtest::shared_memory_start(*guest_);
    const auto range = [&](std::uint64_t start, std::uint64_t size) {
        return fmt::format("phys={:#x},size={}", start, size);
    };
    const std::uint64_t size = 16 << 20;
    refused("phys=0x1000000,size=4M", "overlaps System RAM");
    refused(range(phys + 1, size), "must be multiples of 4096");
    refused(range(phys, size - 1), "must be multiples of 4096");
    refused(fmt::format("phys={:#x}", phys), "needs size=BYTES");
    refused("size=4M", "size= belongs to phys=ADDR");
    refused("phys=0xfffffffffffff000,size=8K", "lies beyond this CPU's addresses");
    refused("phys=somewhere,size=4M", "phys=somewhere: expected bytes");
    refused("phys=4G,size=4MB", "size=4MB: expected bytes");
    refused("phys=0xfec00000,size=4K", "overlaps a claimed range"); // an I/O APIC
    const auto user =
        sh("unshare -Urm /sbin/mount.daxfs none " + std::string(target) + " -o " + range(phys, size));
    EXPECT_EQ(user.status, 32);
    EXPECT_TRUE(contains(user.err, "phys= needs CAP_SYS_ADMIN")) << user.err;

    // One range at two places is one mount; another that overlaps it is not its owner's.
    ASSERT_EQ(mount(range(phys, size)).status, 0);
    EXPECT_EQ(mount(range(phys, size), "none", "/mnt/y").status, 0);
    EXPECT_EQ(sh("stat -c %d /mnt/x /mnt/y | uniq | wc -l").out, "1\n");
    EXPECT_TRUE(
        contains(sh("grep daxfs /proc/mounts").out, fmt::format("phys={:#018x},size={}", phys, size)));
    refused(range(phys, size / 2), "overlaps a claimed range");
    refused(range(phys + size / 2, size / 2), "overlaps a claimed range");
    EXPECT_TRUE(contains(sh("cat /proc/iomem").out, " : daxfs"));
    const auto remount = mount("remount,rw");
    EXPECT_EQ(remount.status, 32);
    EXPECT_TRUE(contains(remount.err, "an image is never writable")) << remount.err;
    unmount();
    unmount("/mnt/y");
    EXPECT_FALSE(contains(sh("cat /proc/iomem").out, " : daxfs"));

    sh("mount -t securityfs none /sys/kernel/security; echo integrity > "
       "/sys/kernel/security/lockdown");
    refused(range(phys, size), "refused while the kernel is locked down");
    finish();
}

TEST_F(Regions, APmemDeviceHasPages)
{
    boot("pmem", {"daxfs"});
    daxtest::mount(*guest_);
    probe("HasPages");
    probe("IsReadWithoutWaiting");
    probe("KeepsInodesThatAreWatched");
    unmount();
    finish();
}

TEST_F(Regions, APhysicalRangeHasPages)
{
    boot("ivshmem", {"daxfs"});
    const auto phys = daxtest::shared_memory_start(*guest_);
    const auto options = fmt::format("phys={:#x},size=16M", phys);
    ASSERT_EQ(mount(options).status, 0);
    probe("HasPages");
    probe("IsCopiedForAWriterFromOutside");
    probe("IsNotUnmountedUnderAPipe");
    // The pages went with the mount, and come again.
    ASSERT_EQ(mount(options).status, 0);
    probe("HasPages");
    unmount();
    finish();
}

// The kernel makes pages for whole 2 MiB only.
TEST_F(Regions, APhysicalRangeThatIsNotAlignedHasNoPages)
{
    fs::resize_file(image_, 16 << 20);
    daxbench::run_checked({"dd", "if=" + image_.string(), "of=" + image_.string() + ".moved", "bs=4096",
                           "seek=1", "count=4095", "status=none"});
    fs::rename(image_.string() + ".moved", image_);
    boot("ivshmem", {"daxfs"});
    const auto phys = daxtest::shared_memory_start(*guest_) + 4096;
    ASSERT_EQ(mount(fmt::format("phys={:#x},size={}", phys, (16 << 20) - 4096)).status, 0);
    probe("HasNoPages");
    probe("IsCopiedForAWriterFromOutside");
    unmount();
    finish();
}

TEST_F(Regions, AreReadWhereUserfaultfdLeftMarks)
{
    if (release() < 607)
        GTEST_SKIP() << "userfaultfd protects no file before 6.7";
    boot("pmem", {"daxfs"});
    daxtest::mount(*guest_);
    probe("IsReadWhereUserfaultfdLeftMarks");
    unmount();
    finish();
}

TEST_F(Regions, KeepTheirOptions)
{
    boot("ivshmem", {"daxfs"});
    const auto options = fmt::format("phys={:#x},size=16M", daxtest::shared_memory_start(*guest_));
    ASSERT_EQ(mount(options).status, 0);
    EXPECT_EQ(run({"/usr/bin/mount", "-o", "remount,nodev", target}).status, 0);
    for (const std::string changed :
         {"size=8M", "validate", "fault=iomap", "digest=00000000000000000000000000000000"})
        expect_refusal(run({"/usr/bin/mount", "-o", "remount," + changed, target}), changed,
                       "cannot be changed", 32);
    // Its address is not for everyone.
    EXPECT_TRUE(contains(sh("grep daxfs /proc/mounts").out, ",phys=0x00000"));
    const auto others = sh("unshare -Ur grep daxfs /proc/self/mounts").out;
    EXPECT_TRUE(contains(others, ",phys=0x0,size=")) << others;
    unmount();
    finish();
}

TEST_F(Regions, APmemDeviceThatIsHeldOrHasABadBlock)
{
    boot("pmem", {"daxfs"});
    sh("mkdir -p /mnt/x");
    probe("IsHeldByAnother");
    // Behind the image.
    ASSERT_EQ(sh("echo '30720 8' > /sys/block/pmem0/badblocks && cat /sys/block/pmem0/badblocks").out,
              "30720 8\n");
    daxtest::mount(*guest_);
    EXPECT_EQ(sh("cat /mnt/x/file").out, "content\n");
    manifest("mmap-shared");
    unmount();
    finish();
}

TEST_F(Regions, APmemDeviceAtTwoPlaces)
{
    boot("pmem", {"daxfs"});
    ASSERT_EQ(mount("ro,noatime", "/dev/pmem0").status, 0);
    ASSERT_EQ(mount("ro,nosuid", "/dev/pmem0", "/mnt/y").status, 0);
    EXPECT_EQ(sh("stat -c %d /mnt/x /mnt/y | uniq | wc -l").out, "1\n");
    EXPECT_TRUE(contains(sh("grep /mnt/x /proc/mounts").out, "ro,noatime"));
    EXPECT_TRUE(contains(sh("grep /mnt/y /proc/mounts").out, "ro,nosuid"));
    const auto remount = run({"/usr/bin/mount", "-o", "remount,nodev", target});
    EXPECT_EQ(remount.status, 0) << remount.err;
    EXPECT_TRUE(contains(sh("grep /mnt/x /proc/mounts").out, "ro,nodev,noatime"));
    // Its memory is claimed by its driver.
    const auto start = sh("sed -n 's/-.*namespace0.0.*//p' /proc/iomem | tr -d ' '").out;
    ASSERT_FALSE(start.empty()) << sh("cat /proc/iomem").out;
    refused(fmt::format("phys=0x{},size=2M", start.substr(0, start.find('\n'))), "overlaps a claimed range");
    unmount();
    EXPECT_EQ(sh("cat /mnt/y/file").out, "content\n");
    unmount("/mnt/y");
    EXPECT_EQ(logged(": mounted, "), 1U);
    finish();
}

TEST_F(Regions, DeviceDaxByItsResource)
{
    // 32 MiB of RAM become memory that the kernel leaves to device-dax.
    // The debug kernel's check of page tables takes every such page for one with a struct page; it
    // has none once device-dax has let go of it.
    boot("pmem", {"daxfs", "device_dax"}, "memmap=32M%0x10000000-1+0xefffffff page_table_check=off");
    copy_image();
    // Which number it has depends on the kernel.
    auto dax = sh("ls /sys/bus/dax/devices").out;
    dax.erase(std::min(dax.find('\n'), dax.size()));
    // Debian's kernel would give it to the memory manager.
    sh("echo " + dax + " > /sys/bus/dax/drivers/device_dax/new_id");
    ASSERT_TRUE(has("/dev/" + dax)) << sh("cat /proc/iomem; ls /sys/bus/dax/devices").out;
    probe("FillsDeviceDax", "DEVICE=/dev/" + dax);
    refused("ro", "in use by the driver device_dax", 2, "/dev/" + dax);
    refused("ro", "no device-dax device /dev/dax7.0", 2, "/dev/dax7.0");
    refused("phys=0x10000000,size=16M", "overlaps a claimed range");
    ASSERT_EQ(sh("echo " + dax + " > /sys/bus/dax/drivers/device_dax/unbind").status, 0);
    const auto mounted = mount("ro", "/dev/" + dax);
    ASSERT_EQ(mounted.status, 0) << mounted.err;
    EXPECT_EQ(sh("cat /mnt/x/file").out, "content\n");
    EXPECT_TRUE(contains(sh("grep daxfs /proc/mounts").out, "/dev/" + dax + " "));
    const auto lines = manifest("mmap-shared");
    unmount();
    daxtest::mount(*guest_);
    EXPECT_EQ(manifest("mmap-shared"), lines);
    finish();
}

TEST_F(Regions, DeviceDaxThatFilesystemsShare)
{
    if (release() < 703)
        GTEST_SKIP() << "before 7.3 no driver shares a device-dax with filesystems";
    boot("pmem", {"daxfs", "fsdev_dax"}, "memmap=32M%0x10000000-1+0xefffffff");
    copy_image();
    auto dax = sh("ls /sys/bus/dax/devices").out;
    dax.erase(std::min(dax.find('\n'), dax.size()));
    const auto device = "/dev/" + dax;
    const auto drive = [&](const std::string &file) {
        EXPECT_EQ(sh("echo " + dax + " > /sys/bus/dax/drivers/" + file).status, 0) << file;
    };
    sh("echo " + dax + " > /sys/bus/dax/drivers/device_dax/new_id");
    ASSERT_TRUE(has(device)) << sh("cat /proc/iomem; ls /sys/bus/dax/devices").out;
    probe("FillsDeviceDax", "DEVICE=" + device);
    refused("ro", "in use by the driver device_dax", 2, device);
    drive("device_dax/unbind");
    sh("echo " + dax + " > /sys/bus/dax/drivers/device_dax/remove_id");
    drive("fsdev_dax/new_id");
    ASSERT_EQ(mount("ro", device).status, 0) << sh("ls -l /sys/bus/dax/devices/*/driver; dmesg | tail").out;
    EXPECT_TRUE(contains(sh("grep daxfs /proc/mounts").out, device + " "));
    probe("HasPages");
    EXPECT_EQ(mount("ro", device, "/mnt/y").status, 0);
    EXPECT_EQ(sh("stat -c %d /mnt/x /mnt/y | uniq | wc -l").out, "1\n");
    unmount("/mnt/y");
    probe("IsNotUnmountedUnderAPipe");
    // It goes away under a mount.
    ASSERT_EQ(mount("ro", device).status, 0);
    EXPECT_EQ(sh("cat /mnt/x/file").out, "content\n");
    drive("fsdev_dax/unbind");
    EXPECT_EQ(logged("the memory went away"), 1U);
    EXPECT_NE(sh("cat /mnt/x/file").status, 0);
    unmount();
    finish();
}

} // namespace
