// SPDX-License-Identifier: Apache-2.0
// Owners, rights, times, names, xattrs and ACLs by --extract and --tar: kept, or said to be left out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "daxfs_format.h"
#include "image_reader.hpp"
#include "mkdaxfs.hpp"
#include "percent.hpp"
#include "shell.hpp"
#include "text_form.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

// Images of a few lines of text.
class TextImage : public TreeTest {
protected:
    void make_of(const std::string &lines) const
    {
        std::istringstream text("daxfs-text 1\n" + lines);
        std::ostringstream out, err;
        ASSERT_EQ(mkdaxfs_main({image(), "--text", "-"}, text, out, err), 0) << err.str();
    }

    // Change what the image says of an inode.
    void patch(const std::string &path, const std::function<void(daxfs_inode &)> &change) const
    {
        std::string bytes = read_file(image());
        const ImageReader reader(image());
        char *at = &bytes[reader.image().inodes.off + (*reader.find(path) - 1) * sizeof(daxfs_inode)];
        daxfs_inode inode;
        std::memcpy(&inode, at, sizeof(inode));
        change(inode);
        std::memcpy(at, &inode, sizeof(inode));
        std::ofstream(image(), std::ios::binary | std::ios::in) << bytes;
    }

    // dump.daxfs --tar, of which mkdaxfs --tar makes the same image.
    std::string tar_of_same_image() const
    {
        const ToolResult tar = dump({"--tar"});
        EXPECT_EQ(tar.status, 0) << tar.err;
        std::istringstream in(tar.out);
        std::ostringstream out, err;
        EXPECT_EQ(mkdaxfs_main({image("again"), "--tar", "-"}, in, out, err), 0) << err.str();
        EXPECT_TRUE(read_file(image("again")) == read_file(image()));
        return tar.out;
    }

    ToolResult extract() const { return dump({"--extract", root() / "out"}); }

    // Extract as a user without rights and expect status 1 and these lines.
    void expect_left_out(const std::string &lines) const
    {
        ASSERT_EQ(chmod(root().c_str(), 0777), 0);
        const pid_t child = fork();
        if (child == 0) {
            if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
                _exit(77);
            const ToolResult result = extract();
            const bool good = result.status == 1 && result.err == lines;
            if (!good)
                std::fprintf(stderr, "status %d, said:\n%s", result.status, result.err.c_str());
            _exit(good ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(WEXITSTATUS(status), 0) << "expected:\n" << lines;
    }

    // Of who runs expect_left_out().
    static std::string own_ids()
    {
        return geteuid() == 0 ? "uid=65534 gid=65534" : fmt::format("uid={} gid={}", geteuid(), getegid());
    }

    struct stat stat_of(const std::string &path) const
    {
        struct stat st = {};
        EXPECT_EQ(lstat((root() / "out" / path).c_str(), &st), 0) << path;
        return st;
    }
};

TEST_F(TextImage, ExtractMakesNoProgramOfAnotherOwnerSetuid)
{
    make_of("reg prog uid=12345 gid=12345 mode=6755\n");
    expect_left_out("dump.daxfs: /prog: cannot set its owner: Operation not permitted\n"
                    "dump.daxfs: /prog: cannot set set-user-ID and set-group-ID: it has another owner\n"
                    "dump.daxfs: /: cannot set its owner: Operation not permitted\n");
    EXPECT_EQ(stat_of("prog").st_mode & 07777, 0755u);
}

// To chown(2) an id of -1 means to leave it.
TEST_F(TextImage, ExtractGivesNoProgramWithoutOwnerToTheCaller)
{
    const std::string ids = fmt::format("uid={} gid={}", geteuid(), getegid());
    for (const auto member : {&daxfs_inode::uid, &daxfs_inode::gid}) {
        make_of(fmt::format(
            "dir / {0}\nreg prog mode=6755 {0}\ndir sub mode=2755 {0}\nfifo pipe mode=6755 {0}\n", ids));
        for (const std::string path : {"prog", "sub", "pipe"})
            patch(path, [&](daxfs_inode &inode) { inode.*member = 0xffffffff; });
        const ToolResult result = extract();
        EXPECT_EQ(result.status, 1);
        for (const std::string path : {"prog", "sub", "pipe"}) {
            EXPECT_NE(result.err.find("/" + path + ": cannot set its owner"), std::string::npos)
                << result.err;
            EXPECT_EQ(stat_of(path).st_mode & 07777, 0755u) << path;
        }
        fs::remove_all(root() / "out");
    }
}

TEST_F(TextImage, ExtractLeavesOutDevicesUnderAllTheirNames)
{
    make_of(fmt::format("dir / {0}\nchr /a dev=1:3\nlink /b /a\nreg /c {0} size=1\n+ Yw==\n", own_ids()));
    expect_left_out("dump.daxfs: /a: cannot set it up as a special file: Operation not permitted\n"
                    "dump.daxfs: /b: cannot set it up as a special file: Operation not permitted\n");
    EXPECT_EQ(read_file(root() / "out/c"), "c");
}

TEST_F(TextImage, ExtractLinksIntoDirectoriesThatNobodyMayEnter)
{
    make_of(fmt::format(
        "dir / {0}\ndir /d mode=0000 mtime=5 {0}\ndir /d/s mode=0500 mtime=6 {0}\nreg /d/s/f {0}\n"
        "link /e /d/s/f\nreg /z uid=1 gid=1\n",
        own_ids()));
    expect_left_out("dump.daxfs: /z: cannot set its owner: Operation not permitted\n");
    EXPECT_EQ(stat_of("e").st_nlink, 2u);
    EXPECT_EQ(stat_of("d").st_mode & 07777, 0u);
    EXPECT_EQ(stat_of("d").st_mtime, 5);
    ASSERT_EQ(chmod((root() / "out/d").c_str(), 0700), 0);
    EXPECT_EQ(stat_of("d/s").st_mode & 07777, 0500u);
    EXPECT_EQ(stat_of("d/s").st_mtime, 6);
    ASSERT_EQ(chmod((root() / "out/d/s").c_str(), 0700), 0);
}

// u::r-x u:1000:rwx g::rwx m::rwx o::rwx, version 2
constexpr unsigned char an_acl[] = {2,    0,    0,    0,    1,  0, 5, 0, 0xff, 0xff, 0xff, 0xff, 2,  0, 7, 0,
                                    0xe8, 3,    0,    0,    4,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, 16, 0, 7, 0,
                                    0xff, 0xff, 0xff, 0xff, 32, 0, 7, 0, 0xff, 0xff, 0xff, 0xff};

TEST_F(TextImage, ExtractInheritsNoAcl)
{
    const fs::path out = root() / "out";
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

TEST_F(TextImage, ExtractSaysWhichTimesTheFilesystemDoesNotHold)
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

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

// GNU tar names what it does not know.
TEST_F(TextImage, TarHasOnlyHeadersThatEveryTarKnows)
{
    make_of("reg /%C3%BC\nlnk /%D0%B6 target=%E6%BC%A2\nreg /x xattr.user.a-B_9.+@:~=v\n");
    const std::string tar = tar_of_same_image();
    EXPECT_TRUE(has(tar, "SCHILY.xattr.user.a-B_9.+@:~=v"));
    EXPECT_FALSE(has(tar, "hdrcharset"));
    EXPECT_FALSE(has(tar, "LIBARCHIVE"));
}

// That libarchive would write or read as others: not composed, surrogates, no UTF-8.
TEST_F(TextImage, TarKeepsAllNames)
{
    for (const std::string name :
         {"u%CC%88", "%E1%84%80%E1%85%A1", "%EA%B0%80%E1%86%A8", "%E3%81%8B%E3%82%99", "%ED%A0%BD%ED%B8%80",
          "%FF%FE", "%E4A%80", "%C0%AF", "%F4%90%80%80"}) {
        make_of("reg /" + name + "\nlnk /link target=" + name + "\n");
        tar_of_same_image();
        make_of("dir /a\ndir /a/" + name + "\nreg /a/" + name + "/b\n");
        tar_of_same_image();
    }
}

// libarchive cuts the name in a sparse map where names are bytes.
TEST_F(TextImage, TarKeepsNamesOfFilesWithHoles)
{
    const std::string block = "+ " + base64_encode(noise(4096, 1)) + "\n";
    std::string text = "reg /%ff\n";
    for (const std::string &name :
         {std::string(98, 'n') + "1", std::string(98, 'n') + "2", std::string(200, 'd') + "/file",
          std::string("\xc3\xbc"), std::string("short")}) {
        if (name.find('/') != name.npos)
            text += "dir /" + name.substr(0, name.find('/')) + "\n";
        text += "reg /" + percent_encode(name) + " size=200000\n" + block + "0 195904\n";
    }
    make_of(text);
    tar_of_same_image();
}

TEST_F(TextImage, TarOfManyXattrs)
{
    const auto file = [](const std::string &name, int count, std::size_t last) {
        std::string line = "reg " + name;
        for (int i = 0; i < count; ++i)
            line += fmt::format(" xattr.user.n{:03}={}", i, std::string(i + 1 < count ? 4096 : last, 'v'));
        return line + "\n";
    };
    make_of(file("/f", 253, 4096));
    tar_of_same_image();
    make_of(file("/all", 255, 4096) + "reg /last\n");
    const ToolResult tar = dump({"--tar"});
    EXPECT_EQ(tar.status, 1);
    EXPECT_TRUE(has(tar.err,
                    "dump.daxfs: /all: its extended attributes take 1052160 bytes of the archive, more than "
                    "the 1048576 that libarchive reads\n"))
        << tar.err;
    EXPECT_TRUE(has(tar.out, "./last")) << "the rest is not written";

    // The bound is that of libarchive's reader.
    std::size_t last = 4900;
    int status = 0;
    for (; status == 0 && last < 5000; ++last) {
        make_of(file("/f", 254, last));
        const ToolResult one = dump({"--tar"});
        status = one.status;
        std::istringstream in(one.out);
        std::ostringstream out, err;
        EXPECT_EQ(mkdaxfs_main({image("again"), "--tar", "-"}, in, out, err), status) << last;
    }
    EXPECT_EQ(status, 1);
}

struct AclEntry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id = 0xffffffff;
};

std::string acl(const std::vector<AclEntry> &entries)
{
    std::string value("\2\0\0\0", 4);
    value.append(reinterpret_cast<const char *>(entries.data()), entries.size() * sizeof(AclEntry));
    return value;
}

std::string in_text(const std::string &bytes)
{
    std::string text;
    for (const char byte : bytes)
        text += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
    return text;
}

constexpr AclEntry owner{1, 6}, user{2, 7, 123456}, group_of_it{4, 4}, group{8, 5, 2147483646}, mask{16, 7},
    other{32, 4};

// As GNU tar and bsdtar take them, and with numbers that are nobody's here.
TEST_F(TextImage, TarGivesAclsToOtherTars)
{
    const std::string access = acl({owner, user, group_of_it, group, mask, other});
    const std::string inherited = acl({owner, group_of_it, other});
    const std::string ids = fmt::format(" uid={} gid={} ", geteuid(), getegid());
    make_of("dir /" + ids + "\nreg /f mode=0674" + ids +
            "xattr.user.x=y xattr.system.posix_acl_access=" + in_text(access) + "\ndir /d mode=0674" + ids +
            "xattr.system.posix_acl_access=" + in_text(access) +
            " xattr.system.posix_acl_default=" + in_text(inherited) + "\n");
    const std::string tar = tar_of_same_image();
    std::ofstream(root() / "tar", std::ios::binary) << tar;
    fs::create_directory(root() / "probe");
    if (setxattr((root() / "probe").c_str(), "system.posix_acl_access", access.data(), access.size(), 0) != 0)
        GTEST_SKIP() << "no ACLs on this filesystem";
    std::string missing;
    for (const std::string program : {"tar --acls", "tar --acls --xattrs --xattrs-include='*'", "bsdtar"}) {
        if (!have_program(program.substr(0, program.find(' ')))) {
            missing += " " + program;
            continue;
        }
        const fs::path out = root() / "unpacked";
        fs::remove_all(out);
        fs::create_directory(out);
        EXPECT_EQ(shell(program + " -xpf " + (root() / "tar").string() + " -C " + out.string()), "");
        const auto value = [&](const std::string &path, const char *name) {
            char bytes[1024];
            const ssize_t got = getxattr((out / path).c_str(), name, bytes, sizeof(bytes));
            return std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        };
        EXPECT_EQ(value("f", "system.posix_acl_access"), access) << program;
        EXPECT_EQ(value("d", "system.posix_acl_access"), access) << program;
        EXPECT_EQ(value("d", "system.posix_acl_default"), inherited) << program;
    }
    if (!missing.empty())
        GTEST_SKIP() << "not tried, since not installed:" << missing;
}

// Those that the text of an archive's ACL, or libarchive, has no room for.
TEST_F(TextImage, TarKeepsOtherAclsAsXattrs)
{
    const AclEntry far{2, 7, 4000000000}, near{2, 7, 5}, no_mask{16, 0};
    for (const std::string &access :
         {acl({owner, far, group_of_it, mask, other}), acl({owner, group_of_it, other}),
          acl({owner, user, near, group_of_it, mask, other}), acl({}),
          acl({owner, user, group_of_it, no_mask, other})}) {
        make_of("reg /f mode=0674 xattr.system.posix_acl_access=" + in_text(access) + "\n");
        const std::string tar = tar_of_same_image();
        EXPECT_TRUE(has(tar, "SCHILY.xattr.system.posix_acl_access"));
        EXPECT_FALSE(has(tar, "SCHILY.acl"));
    }
}

} // namespace

} // namespace daxfs::test
