// SPDX-License-Identifier: Apache-2.0
// Images that lie, in use: loops, shared data, two names, floods of messages, a writer meanwhile.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "hostile_guest.hpp"
#include "protocol.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::count_of;
using daxtest::Hostile;
using daxtest::SharedImage;
using daxtest::target;

// Two directories that are each other's parents: looking for the way up must come to an end.
TEST_F(Hostile, AHandleInALoop)
{
    const auto sub = image_->ino("dir/sub");
    const auto inner = image_->ino("dir/sub/inner");
    image_->set(image_->entry("dir/sub/inner/innermost", offsetof(daxfs_dirent, ino)), sub);
    image_->set(image_->inode("dir/sub", offsetof(daxfs_inode, parent)), inner);
    auto guest = boot();
    daxtest::mount(guest);
    for (const auto ino : {sub, inner}) {
        const auto out =
            daxtest::run(guest, {"/bin/probe", "access", "open-handle", std::to_string(ino)}).at("stdout");
        EXPECT_TRUE(out == fmt::format("{}%20untouched", ESTALE) ||
                    out == fmt::format("{}%20untouched", ELOOP))
            << out;
    }
    log_of(guest);
    guest.call("umount", {{"target", target}}, Seconds(30));
    guest.shutdown();
}

// fs/dax.c has room for one file a page, and later kernels corrupt what they know of a page that two
// claim. The image says that it shares none, and does.
TEST_F(Hostile, FilesThatShareDataInSecret)
{
    const auto tree = dir_.path() / "tree";
    fs::create_directories(tree);
    std::ofstream(tree / "good") << "untouched";
    for (const std::string name : {"one", "two"})
        std::ofstream(tree / name) << std::string(3 << 20, name[0]);
    daxbench::run_checked({(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(), "--quiet", "--no-dedupe",
                           "--force", path_.string(), tree.string()});
    daxtest::pad_image(path_);
    image_ = std::make_unique<SharedImage>(path_);
    auto guest = boot();
    ASSERT_EQ(mount_error(guest, "ro,fault=iomap"), "");
    image_->set(image_->inode("two", offsetof(daxfs_inode, data)), image_->node("one").data + 4096);
    const auto touch = [&](const std::string &name) {
        return daxtest::run(guest, {"/bin/probe", "access", "touch", name}).at("stdout").get<std::string>();
    };
    EXPECT_EQ(touch("one"), "0%20untouched");
    EXPECT_NE(touch("two"), "0%20untouched");
    EXPECT_EQ(touch("one"), "0%20untouched");
    EXPECT_GE(count_of(log_of(guest), "bad data of another inode"), 1U);
    guest.call("umount", {{"target", target}}, Seconds(30));
    // The module's own way shares, whoever says so.
    ASSERT_EQ(mount_error(guest, "ro"), "");
    EXPECT_EQ(touch("one"), "0%20untouched");
    EXPECT_EQ(touch("two"), "0%20untouched");
    log_of(guest);
    guest.shutdown();
}

// A directory that says it has one name, and has two, is not taken by both.
TEST_F(Hostile, ADirectoryWithTwoNames)
{
    image_->set(image_->inode("twins/a", offsetof(daxfs_inode, nlink)), 1U);
    image_->set(image_->entry("twins/b", offsetof(daxfs_dirent, ino)), image_->ino("twins/a"));
    auto guest = boot();
    ASSERT_EQ(mount_error(guest, "ro"), "");
    const auto out =
        daxtest::run(guest, {"/bin/busybox", "sh", "-c", "cd /mnt/x/twins/a && stat ../b; echo $?"});
    EXPECT_NE(out.at("stdout").get<std::string>().find("1"), std::string::npos) << out.dump();
    log_of(guest);
    guest.call("umount", {{"target", target}}, Seconds(30));
    guest.shutdown();
}

TEST_F(Hostile, OneMessageManyTimes)
{
    image_->set(image_->inode("file", offsetof(daxfs_inode, nlink)), 0U);
    auto guest = boot();
    daxtest::mount(guest);
    const auto took =
        daxtest::run(guest, {"/bin/busybox", "sh", "-c",
                             "a=$(cut -d. -f1 /proc/uptime); for i in $(seq 300); do stat /mnt/x/file; done "
                             "2>/dev/null; echo $(($(cut -d. -f1 /proc/uptime) - a))"});
    const auto seconds = std::stoul(took.at("stdout").get<std::string>());
    const auto said = count_of(log_of(guest), "bad nlink");
    EXPECT_GE(said, 1U);
    // The kernel lets ten messages pass in five seconds.
    EXPECT_LE(said, 20U + seconds / 5 * 10) << "messages are not limited in " << seconds << " s";
    guest.shutdown();
}

TEST_F(Hostile, AnotherKernelWritesMeanwhile)
{
    auto guest = boot(2);
    daxtest::mount(guest);
    std::atomic<bool> stop = false;
    std::uint64_t writes = 0;
    std::thread writer([&] {
        std::mt19937_64 random(20261122);
        const auto &range = image_->image().metadata;
        while (!stop) {
            // Mostly single bytes, at times a whole inode; taken back now and then.
            const auto at = range.off + random() % (range.len - 64);
            if (random() % 4)
                image_->set(at, static_cast<std::uint8_t>(random()));
            else
                image_->write(at / 64 * 64, std::string(64, static_cast<char>(random())));
            if (++writes % 64 == 0)
                image_->restore();
            usleep(200);
        }
    });
    const auto result = daxtest::run(guest, {"/bin/probe", "churn", "12"});
    stop = true;
    writer.join();
    EXPECT_EQ(result.at("status"), 0) << result.dump();
    EXPECT_GT(writes, 1000U);
    std::printf("%lu writes; %s", writes,
                daxbench::percent_decode(result.at("stdout").get<std::string>()).c_str());
    log_of(guest);

    image_->restore();
    guest.call("umount", {{"target", target}}, Seconds(30));
    ASSERT_EQ(mount_error(guest, "ro,validate"), "");
    EXPECT_EQ(daxtest::run(guest, {"/bin/probe", "access", "stat", "file"}).at("stdout"), "0%20untouched");
    log_of(guest);
    guest.shutdown();
}

} // namespace
