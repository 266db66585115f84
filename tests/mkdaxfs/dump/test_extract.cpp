// SPDX-License-Identifier: Apache-2.0
// dump.daxfs --extract: what the tree gets, as root and as a user, and what is left out.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "text_image.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class Extract : public TextImage {};

// As GNU tar: owners are root's affair.
TEST_F(Extract, AsAUserLosesNothingAndSaysNothing)
{
    make_of(fmt::format(
        "dir / mode=0755\nreg /f uid=1 gid=2 mode=0640 size=1 xattr.user.a=b mtime=5\n+ eA==\nlink /d/g /f\n"
        "reg /ro mode=0400 xattr.user.a=b\ndir /d uid=3 gid=4 mode=0555 mtime=6 xattr.user.c=d\n"
        "dir /d/none mode=0000\nreg /d/none/f\nlnk /l target=nowhere uid=5 gid=6 mtime=7\n"
        "fifo /p uid=7 gid=8 mode=0666\nsock /s\nreg /all mode=0666\ndir /t mode=1777\n"
        "reg /suid uid=9 mode=4755\nreg /sgid gid=9 mode=2755\ndir /sdir gid=9 mode=2775\n"
        "reg /own mode=6711 {}\n",
        own_ids()));
    const ToolResult result = extract_as_user({}, [] { umask(077); });
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    for (const std::string path : {"f", "d", "d/none", "l", "p", "s", "suid"})
        EXPECT_EQ(stat_of(path).st_uid, user_id()) << path;
    EXPECT_EQ(stat_of("f").st_nlink, 2u);
    EXPECT_EQ(stat_of("f").st_mtime, 5);
    EXPECT_EQ(stat_of("d").st_mtime, 6);
    EXPECT_EQ(stat_of("l").st_mtime, 7);
    EXPECT_EQ(getxattr(extracted("f").c_str(), "user.a", nullptr, 0), 1);
    EXPECT_EQ(getxattr(extracted("ro").c_str(), "user.a", nullptr, 0), 1);
    EXPECT_EQ(getxattr(extracted("d").c_str(), "user.c", nullptr, 0), 1);
    const std::vector<std::pair<std::string, mode_t>> modes = {
        {"", 0755},
        {"f", 0640},
        {"ro", 0400},
        {"d", 0555},
        {"d/none", 0},
        {"p", 0666},
        {"all", 0666},
        {"t", 01777},
        // A program of someone else is not to run as whoever extracts it.
        {"suid", 0755},
        {"sgid", 0755},
        {"sdir", 0775},
        {"own", 06711}};
    for (const auto &[path, mode] : modes)
        EXPECT_EQ(mode_of(path), mode) << path;
}

TEST_F(Extract, RootNeedNotKeepOwners)
{
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    make_of("reg /f uid=1 gid=2 mode=6755\nlnk /l target=f uid=1\n");
    ToolResult result = extract({"--no-preserve-owner"});
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(stat_of("f").st_uid, 0u);
    EXPECT_EQ(stat_of("l").st_uid, 0u);
    EXPECT_EQ(mode_of("f"), 0755u);
    fs::remove_all(extracted());
    result = extract();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(stat_of("f").st_uid, 1u);
    EXPECT_EQ(mode_of("f"), 06755u);
}

TEST_F(Extract, AttributesOfRootAreLossesOfAUser)
{
    make_of("reg /f xattr.security.capability=%01%00%00%02%00%04%00%00%00%00%00%00%00%00%00%00%00%00%00%00 "
            "xattr.trusted.t=x xattr.user.u=x\n");
    const ToolResult result = extract_as_user();
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: /f: cannot set trusted.t: Operation not permitted\n"
                          "dump.daxfs: /f: cannot set security.capability: Operation not permitted\n");
    EXPECT_EQ(getxattr(extracted("f").c_str(), "user.u", nullptr, 0), 1);
}

// What every file has does not drown the rest.
TEST_F(Extract, LossesOfAKindAreSummed)
{
    std::string text = "chr /z dev=1:3\n";
    for (int i = 0; i < 25; ++i)
        text += fmt::format("reg /{} xattr.trusted.t=x\n", 10 + i);
    make_of(text);
    const ToolResult result = extract_as_user();
    std::string wanted;
    for (int i = 0; i < 10; ++i)
        wanted += fmt::format("dump.daxfs: /{}: cannot set trusted.t: Operation not permitted\n", 10 + i);
    wanted += "dump.daxfs: /z: cannot set it up as a special file: Operation not permitted\n"
              "dump.daxfs: 15 more: cannot set trusted.t: Operation not permitted\n";
    EXPECT_EQ(result.err, wanted);
    EXPECT_EQ(result.status, 1);
}

// Half of a file is none; the others are there.
TEST_F(Extract, AFileThatDoesNotFitIsLeftOut)
{
    add_file("a", noise(300000, 1));
    add_file("b", "b");
    add_file("c/large", noise(300000, 2));
    make();
    const ToolResult result = extract_as_user({}, [] {
        signal(SIGXFSZ, SIG_IGN);
        const rlimit limit = {100000, 100000};
        setrlimit(RLIMIT_FSIZE, &limit);
    });
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: /a: cannot write it: File too large\n"
                          "dump.daxfs: /c/large: cannot write it: File too large\n");
    EXPECT_FALSE(fs::exists(extracted("a")));
    EXPECT_EQ(read_file(extracted("b")), "b");
    EXPECT_TRUE(fs::is_empty(extracted("c")));
}

TEST_F(Extract, MakesNoProgramOfAnotherOwnerSetuid)
{
    make_of("reg prog uid=12345 gid=12345 mode=6755\n");
    const ToolResult result = extract_as_user({"--preserve-owner"});
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: /prog: cannot set its owner: Operation not permitted\n"
                          "dump.daxfs: /prog: cannot set set-user-ID and set-group-ID: it has another owner\n"
                          "dump.daxfs: /: cannot set its owner: Operation not permitted\n");
    EXPECT_EQ(mode_of("prog"), 0755u);
}

// To chown(2) an id of -1 means to leave it.
TEST_F(Extract, GivesNoProgramWithoutOwnerToTheCaller)
{
    const std::string ids = fmt::format("uid={} gid={}", geteuid(), getegid());
    for (const auto member : {&daxfs_inode::uid, &daxfs_inode::gid}) {
        make_of(fmt::format(
            "dir / {0}\nreg prog mode=6755 {0}\ndir sub mode=2755 {0}\nfifo pipe mode=6755 {0}\n", ids));
        for (const std::string path : {"prog", "sub", "pipe"})
            patch(path, [&](daxfs_inode &inode) { inode.*member = 0xffffffff; });
        const ToolResult result = extract({"--preserve-owner"});
        EXPECT_EQ(result.status, 1);
        for (const std::string path : {"prog", "sub", "pipe"}) {
            EXPECT_NE(result.err.find("/" + path + ": cannot set its owner"), std::string::npos)
                << result.err;
            EXPECT_EQ(mode_of(path), 0755u) << path;
        }
        fs::remove_all(extracted());
    }
}

TEST_F(Extract, LeavesOutDevicesUnderAllTheirNames)
{
    make_of(fmt::format("dir / {0}\nchr /a dev=1:3\nlink /b /a\nreg /c {0} size=1\n+ Yw==\n", own_ids()));
    const ToolResult result = extract_as_user();
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: /a: cannot set it up as a special file: Operation not permitted\n"
                          "dump.daxfs: /b: cannot set it up as a special file: Operation not permitted\n");
    EXPECT_EQ(read_file(extracted("c")), "c");
}

TEST_F(Extract, LinksIntoDirectoriesThatNobodyMayEnter)
{
    make_of(fmt::format(
        "dir / {0}\ndir /d mode=0000 mtime=5 {0}\ndir /d/s mode=0500 mtime=6 {0}\nreg /d/s/f {0}\n"
        "link /e /d/s/f\nreg /z uid=1 gid=1\n",
        own_ids()));
    const ToolResult result = extract_as_user();
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(stat_of("e").st_nlink, 2u);
    EXPECT_EQ(mode_of("d"), 0u);
    EXPECT_EQ(stat_of("d").st_mtime, 5);
    ASSERT_EQ(chmod((extracted("d")).c_str(), 0700), 0);
    EXPECT_EQ(mode_of("d/s"), 0500u);
    EXPECT_EQ(stat_of("d/s").st_mtime, 6);
    ASSERT_EQ(chmod((extracted("d/s")).c_str(), 0700), 0);
}

// u::r-x u:1000:rwx g::rwx m::rwx o::rwx, version 2
constexpr unsigned char an_acl[] = {2,    0,    0,    0,    1,  0, 5, 0, 0xff, 0xff, 0xff, 0xff, 2,  0, 7, 0,
                                    0xe8, 3,    0,    0,    4,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, 16, 0, 7, 0,
                                    0xff, 0xff, 0xff, 0xff, 32, 0, 7, 0, 0xff, 0xff, 0xff, 0xff};

TEST_F(Extract, InheritsNoAcl)
{
    const fs::path out = extracted();
    fs::create_directory(out);
    if (setxattr(out.c_str(), "system.posix_acl_default", an_acl, sizeof(an_acl), 0) != 0)
        GTEST_SKIP() << "no ACLs on this filesystem";
    std::string writable(reinterpret_cast<const char *>(an_acl), sizeof(an_acl));
    writable[6] = 7;
    ASSERT_EQ(setxattr(out.c_str(), "system.posix_acl_access", writable.data(), writable.size(), 0), 0);
    const std::string ids = fmt::format("uid={} gid={}", geteuid(), getegid());
    make_of(fmt::format("dir / {0}\ndir d {0}\ndir d/e {0}\nreg d/e/f {0}\nreg f {0}\n", ids));
    const ToolResult result = extract();
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    for (const std::string path : {"", "d", "d/e", "d/e/f", "f"}) {
        for (const std::string name : {"system.posix_acl_access", "system.posix_acl_default"})
            EXPECT_EQ(getxattr((out / path).c_str(), name.c_str(), nullptr, 0), -1) << path << " " << name;
    }
}

// Nor of the directory that the new one is made in.
TEST_F(Extract, InheritsNoAclFromAbove)
{
    if (setxattr(root().c_str(), "system.posix_acl_default", an_acl, sizeof(an_acl), 0) != 0)
        GTEST_SKIP() << "no ACLs on this filesystem";
    make_of("dir d\nreg d/f\n");
    for (const std::vector<std::string> &how :
         {std::vector<std::string>{}, {"--overwrite"}, {"--skip-existing"}}) {
        fs::remove_all(extracted());
        const ToolResult result = extract(how);
        EXPECT_EQ(result.err, "");
        EXPECT_EQ(result.status, 0);
        for (const std::string path : {"", "d", "d/f"}) {
            for (const std::string name : {"system.posix_acl_access", "system.posix_acl_default"})
                EXPECT_EQ(getxattr(extracted(path).c_str(), name.c_str(), nullptr, 0), -1)
                    << path << " " << name;
        }
    }
}

TEST_F(Extract, SaysWhichTimesTheFilesystemDoesNotHold)
{
    constexpr time_t far = 1LL << 40;
    const timespec times[2] = {{0, UTIME_OMIT}, {far, 0}};
    const fs::path probe = add_file("probe", "");
    ASSERT_EQ(utimensat(AT_FDCWD, probe.c_str(), times, 0), 0);
    struct stat st = {};
    ASSERT_EQ(stat(probe.c_str(), &st), 0);
    if (st.st_mtime == far)
        GTEST_SKIP() << "this filesystem holds any time";
    const std::string rest = fmt::format("mtime={} uid={} gid={}\n", far, geteuid(), getegid());
    make_of("dir / " + rest + "reg f " + rest + "lnk l target=f " + rest);
    const ToolResult result = extract();
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: /f: cannot set its time: the filesystem does not hold it\n"
                          "dump.daxfs: /l: cannot set its time: the filesystem does not hold it\n"
                          "dump.daxfs: /: cannot set its time: the filesystem does not hold it\n");
}

} // namespace

} // namespace daxfs::test
