// SPDX-License-Identifier: Apache-2.0
// daxfs-fuse over images that are damaged, or become so: the module's errors, and nothing that ends it.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse_mount.hpp"
#include "lies.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class FuseErrors : public TreeTest {
protected:
    void SetUp() override
    {
        TreeTest::SetUp();
        daxtest::make_image(daxtest::hostile_tree(), image());
    }
};

// What the module gives for each lie, it gives, and in the same words.
TEST_F(FuseErrors, AreTheModules)
{
    daxtest::SharedImage shared(image());
    setenv("PROBE_ROOT", (root() / "mnt").c_str(), 1);
    for (const daxtest::Lie &lie : daxtest::lies()) {
        SCOPED_TRACE(lie.name);
        const std::string inode = std::to_string(daxtest::accused(lie, shared));
        lie.tell(shared);
        FuseMount mount(image(), root() / "mnt");
        EXPECT_EQ(shell(DAXFS_GUEST_PROBE " access " + lie.access), std::to_string(lie.error) + " untouched");
        std::istringstream log(mount.log());
        bool told = false;
        for (std::string line; std::getline(log, line); told = true) {
            EXPECT_EQ(line.find("daxfs-fuse: " + image().string() + ": inode " + inode + ": bad " +
                                lie.message + " 0x"),
                      0U)
                << line;
        }
        EXPECT_EQ(told, !lie.message.empty());
        EXPECT_EQ(mount.unmount(), 0);
        shared.restore();
    }
    unsetenv("PROBE_ROOT");
}

int error_of_read(const fs::path &path)
{
    const int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0)
        return errno;
    char bytes[100];
    const int error = read(fd, bytes, sizeof(bytes)) < 0 ? errno : 0;
    close(fd);
    return error;
}

TEST_F(FuseErrors, OfAnImageThatIsCut)
{
    const std::string bytes = read_file(image());
    FuseMount mount(image(), root() / "mnt");
    struct stat st = {};
    ASSERT_EQ(lstat((mount.dir() / "file").c_str(), &st), 0);
    ASSERT_EQ(truncate(image().c_str(), 4096), 0);
    EXPECT_EQ(error_of_read(mount.dir() / "file"), EIO);
    EXPECT_EQ(lstat((mount.dir() / "good").c_str(), &st) < 0 ? errno : 0, EIO);
    std::error_code error;
    EXPECT_EQ(fs::directory_iterator(mount.dir() / "twins", error), fs::directory_iterator());
    EXPECT_EQ(error.value(), EIO);
    ASSERT_EQ(truncate(image().c_str(), 0), 0);
    EXPECT_EQ(error_of_read(mount.dir() / "file"), EIO);
    EXPECT_NE(mount.log().find("the file was cut meanwhile"), std::string::npos) << mount.log();
    std::ofstream(image(), std::ios::in | std::ios::binary) << bytes;
    EXPECT_EQ(read_file(mount.dir() / "good"), "untouched");
    EXPECT_EQ(error_of_read(mount.dir() / "file"), 0);
    EXPECT_EQ(mount.unmount(), 0);
}

bool has_root(const fs::path &image)
{
    try {
        return S_ISDIR(ImageReader(image).inode(DAXFS_ROOT_INO).mode);
    } catch (const ImageError &) {
        return false;
    }
}

// Bytes of the metadata are anything: it answers to the end, or does not begin.
TEST_F(FuseErrors, NeverEndIt)
{
    const ImageReader reader(image());
    const std::string good = read_file(image());
    int begun = 0;
    for (std::uint32_t seed = 0; seed < 60; ++seed) {
        SCOPED_TRACE(seed);
        std::string bytes = good;
        const std::string random = noise(64, seed);
        for (std::size_t i = 0; i < random.size(); i += 4) {
            std::uint32_t at;
            std::memcpy(&at, &random[i], sizeof(at));
            bytes[reader.image().metadata.off + at % reader.image().metadata.len] = random[i];
        }
        std::ofstream(image("bad"), std::ios::binary) << bytes;
        if (!has_root(image("bad"))) {
            const int status = run({DAXFS_FUSE_TOOL, image("bad"), root() / "mnt"}, root() / "log");
            EXPECT_EQ(WEXITSTATUS(status), 1);
            continue;
        }
        ++begun;
        FuseMount mount(image("bad"), root() / "mnt");
        shell("(find " + mount.dir().string() +
              " -maxdepth 9 -ls -type f -size -9000k -exec cat {} +) >/dev/null 2>&1; true");
        EXPECT_EQ(mount.unmount(), 0);
    }
    EXPECT_GT(begun, 20);
}

} // namespace

} // namespace daxfs::test
