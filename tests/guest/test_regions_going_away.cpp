// SPDX-License-Identifier: Apache-2.0
// Memory that goes away below a mount, or fails; and what is left of a module that was unloaded.
#include <string>

#include <gtest/gtest.h>

#include "harness.hpp"
#include "regions_guest.hpp"

/// The device goes away under a mount that is being used, and can be used again afterwards.
void daxtest::Regions::check_going_away(const std::string &way, const std::string &options)
{
    boot("pmem", {"daxfs"});
    daxtest::mount(*guest_, options);
    probe("GoesAway", "TAKE_AWAY=" + way);
    EXPECT_EQ(logged("the memory went away"), 1U);
    EXPECT_NE(sh("cat /mnt/x/file").status, 0);
    unmount();
    EXPECT_EQ(run({"/bin/busybox", "rmmod", "daxfs"}).status, 0);
}

namespace {

using daxbench::Seconds;
using daxtest::Regions;

TEST_F(Regions, StayWhileAPipeHoldsAPage)
{
    boot("pmem", {"daxfs"});
    daxtest::mount(*guest_);
    probe("IsNotUnmountedUnderAPipe");
    daxtest::mount(*guest_);
    probe("DoesNotGoUnderAPipe", "TAKE_AWAY=driver");
    unmount();
    finish();
}

TEST_F(Regions, GoAwayUnderAReaderThatWaits)
{
    boot("pmem", {"daxfs"});
    daxtest::mount(*guest_);
    probe("GoesAwayUnderAReaderThatWaits", "TAKE_AWAY=driver");
    unmount();
    finish();
}

TEST_F(Regions, UnloadingLeavesNothing)
{
    boot("pmem", {});
    // What was allocated before is none of ours.
    const bool kmemleak = sh("mount -t debugfs debugfs /sys/kernel/debug; "
                             "echo clear > /sys/kernel/debug/kmemleak")
                              .status == 0;
    guest_->call("load", {{"modules", {"daxfs"}}}, Seconds(30));
    daxtest::mount(*guest_);
    manifest("mmap-shared");
    EXPECT_TRUE(has("/sys/kernel/slab/daxfs_inode"));
    EXPECT_NE(run({"/bin/busybox", "rmmod", "daxfs"}).status, 0);
    unmount();
    EXPECT_EQ(run({"/bin/busybox", "rmmod", "daxfs"}).status, 0);
    EXPECT_FALSE(has("/sys/kernel/slab/daxfs_inode"));
    EXPECT_FALSE(has("/sys/module/daxfs"));
    EXPECT_NE(sh("grep daxfs /proc/filesystems").status, 0);
    EXPECT_NE(sh("grep '\\[daxfs\\]' /proc/kallsyms").status, 0);
    EXPECT_NE(sh("grep daxfs /proc/slabinfo").status, 0);
    if (kmemleak) { // it tells of nothing younger than five seconds
        EXPECT_EQ(sh("sleep 6; for i in 1 2; do echo scan > /sys/kernel/debug/kmemleak; done; "
                     "cat /sys/kernel/debug/kmemleak")
                      .out,
                  "");
    }
    // And it comes back.
    EXPECT_EQ(run({"/bin/busybox", "insmod", "/lib/modules/daxfs.ko"}).status, 0);
    daxtest::mount(*guest_);
    finish();
}

TEST_F(Regions, GoAwayWithTheirNamespace)
{
    check_going_away("namespace");
    EXPECT_EQ(run({"/bin/busybox", "insmod", "/lib/modules/daxfs.ko"}).status, 0);
    EXPECT_EQ(sh("echo namespace0.0 > /sys/bus/nd/drivers/nd_pmem/bind").status, 0);
    daxtest::mount(*guest_);
    EXPECT_EQ(sh("cat /mnt/x/file").out, "content\n");
    finish();
}

TEST_F(Regions, GoAwayWithTheirDriver)
{
    check_going_away("driver");
    finish();
}

TEST_F(Regions, GoAwayWithTheirDevice)
{
    check_going_away("device");
    finish();
}

TEST_F(Regions, GoAwayWithWhatTheKernelRecorded)
{
    check_going_away("driver", "ro,fault=iomap");
    finish();
}

TEST_F(Regions, HaveAPageThatFails)
{
    boot("pmem", {"daxfs", "hwpoison_inject"});
    sh("mount -t debugfs debugfs /sys/kernel/debug");
    if (!has("/sys/kernel/debug/hwpoison/corrupt-pfn"))
        GTEST_SKIP() << "this kernel cannot inject memory failures";
    daxtest::mount(*guest_);
    probe("HasAPageThatFails");
    EXPECT_EQ(logged("4096 bytes at 0x"), 1U);
    probe("HasAPageThatIsSaidToFail");
    EXPECT_EQ(sh("cat /mnt/x/file").out, "content\n");
    unmount();
    finish();
}

} // namespace
