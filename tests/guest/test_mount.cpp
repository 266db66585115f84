// SPDX-License-Identifier: Apache-2.0
// What the module does with whole images: mounts good ones, refuses others in clear words.
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "daxfs_format.h"
#include "harness.hpp"
#include "image.h"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::contains;
using daxtest::json;
using daxtest::target;

class Mount : public testing::Test {
protected:
    void SetUp() override
    {
        fs::create_directories(dir_.path() / "tree/sub");
        std::ofstream(dir_.path() / "tree/file") << "content\n";
        daxtest::make_image(dir_.path() / "tree", image_);
    }

    /// Rewrites the superblock, with or without a checksum that fits.
    void edit_super(const std::function<void(daxfs_super &)> &edit, bool fix_crc = true)
    {
        std::fstream file(image_, std::ios::in | std::ios::out | std::ios::binary);
        std::vector<char> block(DAXFS_SUPER_SIZE);
        file.read(block.data(), DAXFS_SUPER_SIZE);
        auto *super = reinterpret_cast<daxfs_super *>(block.data());
        edit(*super);
        if (fix_crc) {
            super->crc = 0;
            super->crc = daxfs_crc32c(0, block.data(), block.size());
        }
        file.seekp(0);
        file.write(block.data(), DAXFS_SUPER_SIZE);
    }

    /// What mounting the image in a fresh guest says; "" when it mounts.
    std::string mount_error(const std::string &options = "ro")
    {
        auto guest = daxtest::boot(image_, dir_.path() / "logs");
        std::string error;
        try {
            daxtest::mount(guest, options);
        } catch (const std::exception &caught) {
            error = caught.what();
        }
        daxtest::expect_clean_log(guest);
        guest.shutdown();
        return error;
    }

    daxbench::TempDir dir_;
    fs::path image_ = dir_.path() / "image";
};

TEST_F(Mount, IsReadOnlyForEver)
{
    auto guest = daxtest::boot(image_, dir_.path() / "logs");
    const auto mounted = daxtest::mount(guest);
    EXPECT_TRUE(contains(mounted.at("options").get<std::string>(), "ro"));

    const auto remount = daxtest::run(guest, {"/usr/bin/mount", "-o", "remount,rw", target});
    EXPECT_NE(remount.at("status"), 0);
    const auto touch = daxtest::run(guest, {"/bin/busybox", "touch", std::string(target) + "/new"});
    EXPECT_NE(touch.at("status"), 0);
    const auto write =
        daxtest::run(guest, {"/bin/busybox", "sh", "-c", "echo x >> " + std::string(target) + "/file"});
    EXPECT_NE(write.at("status"), 0);
    const auto read = daxtest::run(guest, {"/bin/busybox", "cat", std::string(target) + "/file"});
    EXPECT_EQ(read.at("stdout"), "content%0A");
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

TEST_F(Mount, IsReadOnlyWhenAskedForWriting)
{
    auto guest = daxtest::boot(image_, dir_.path() / "logs");
    const auto mounted = daxtest::mount(guest, "");
    EXPECT_TRUE(contains(mounted.at("options").get<std::string>(), "ro"));
    guest.shutdown();
}

TEST_F(Mount, RefusesForeignContent)
{
    edit_super([](daxfs_super &super) { super.magic = 0x1234; });
    EXPECT_TRUE(contains(mount_error(), "no DAXFS image")) << mount_error();
}

TEST_F(Mount, RefusesALaterVersion)
{
    edit_super([](daxfs_super &super) { super.version = DAXFS_VERSION + 1; });
    const auto error = mount_error();
    EXPECT_TRUE(contains(error, "needs format version 0x2, unknown here")) << error;
}

TEST_F(Mount, RefusesUnknownIncompatibleFeatures)
{
    edit_super([](daxfs_super &super) { super.incompat |= 0x80000000U; });
    const auto error = mount_error();
    EXPECT_TRUE(contains(error, "needs format incompat 0x80000000, unknown here")) << error;
}

TEST_F(Mount, TakesUnknownCompatibleFeatures)
{
    edit_super([](daxfs_super &super) { super.compat |= 0x80000000U; });
    EXPECT_EQ(mount_error(), "");
}

TEST_F(Mount, RefusesATruncatedImage)
{
    edit_super([](daxfs_super &super) { super.image_size = 64ULL << 20; });
    const auto error = mount_error();
    EXPECT_TRUE(contains(error, "image_size is 0x4000000")) << error;
}

TEST_F(Mount, RefusesAWrongChecksum)
{
    edit_super([](daxfs_super &super) { super.label[0] ^= 1; }, false);
    const auto error = mount_error();
    EXPECT_TRUE(contains(error, "bad superblock: crc")) << error;
}

TEST_F(Mount, RefusesUnknownOptions)
{
    const auto error = mount_error("ro,nonsense=1");
    EXPECT_TRUE(contains(error, "nonsense")) << error;
}

TEST_F(Mount, RefusesTheKernelsDaxPathsWhereFilesShareData)
{
    std::ofstream(dir_.path() / "tree/sub/same") << "content\n";
    daxtest::make_image(dir_.path() / "tree", image_);
    const auto error = mount_error("ro,fault=iomap");
    EXPECT_TRUE(contains(error, "fault=iomap cannot share data between files")) << error;
}

TEST_F(Mount, RefusesUnknownFaultPaths)
{
    const auto error = mount_error("ro,fault=nonsense");
    EXPECT_TRUE(contains(error, "fault")) << error;
}

TEST_F(Mount, IsMountedAgainWithTheSameFaultPathOnly)
{
    auto guest = daxtest::boot(image_, dir_.path() / "logs");
    daxtest::mount(guest);
    const auto again = [&](const std::string &options) -> std::string {
        try {
            guest.call(
                "mount",
                {{"type", "daxfs"}, {"source", "pmem"}, {"options", options}, {"target", "/mnt/again"}},
                Seconds(30));
            return "";
        } catch (const std::exception &caught) {
            return caught.what();
        }
    };
    const auto error = again("ro,fault=iomap");
    EXPECT_TRUE(contains(error, "is mounted with fault=map-ahead")) << error;
    EXPECT_EQ(again("ro"), "");
    guest.call("umount", {{"target", "/mnt/again"}}, Seconds(30));
    guest.call("umount", {{"target", target}}, Seconds(30));
    EXPECT_EQ(again("ro,fault=iomap"), "");
    guest.call("umount", {{"target", "/mnt/again"}}, Seconds(30));
    EXPECT_EQ(daxtest::run(guest, {"/bin/busybox", "rmmod", "daxfs"}).at("status"), 0);
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

TEST_F(Mount, TakesOnlyTheImageThatItsDigestNames)
{
    const auto error = mount_error("ro,digest=" + std::string(32, '0'));
    EXPECT_TRUE(contains(error, "made without --digest")) << error;

    for (const auto *kind : {"xxh3", "sha256"}) {
        const auto made = json::parse(
            daxbench::run_checked({(daxtest::bench().build / "mkdaxfs/mkdaxfs").string(), "--json", "--force",
                                   "--digest", kind, image_.string(), (dir_.path() / "tree").string()})
                .out);
        daxtest::pad_image(image_);
        auto digest = made.at("root_digest").get<std::string>();
        EXPECT_EQ(mount_error("ro,digest=" + digest), "") << kind;
        digest.front() = digest.front() == '0' ? '1' : '0';
        const auto other = mount_error("ro,digest=" + digest);
        EXPECT_TRUE(contains(other, "this is another image")) << other;
    }
    const auto bad = mount_error("ro,digest=xyz");
    EXPECT_TRUE(contains(bad, "expected 32 or 64 hexadecimal digits")) << bad;
}

TEST_F(Mount, UnloadsOnlyWithoutMounts)
{
    auto guest = daxtest::boot(image_, dir_.path() / "logs");
    daxtest::mount(guest);
    EXPECT_NE(daxtest::run(guest, {"/bin/busybox", "rmmod", "daxfs"}).at("status"), 0);
    guest.call("umount", {{"target", target}}, Seconds(30));
    EXPECT_EQ(daxtest::run(guest, {"/bin/busybox", "rmmod", "daxfs"}).at("status"), 0);
    daxtest::expect_clean_log(guest);
    guest.shutdown();
}

} // namespace
