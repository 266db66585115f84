// SPDX-License-Identifier: Apache-2.0
// dump.daxfs --extract of a part, and over what is there; --tar of a part.
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "image_walk.hpp"
#include "text_image.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

using Paths = std::set<std::string>;

Paths paths_below(const fs::path &dir)
{
    Paths paths;
    for (const auto &entry : fs::recursive_directory_iterator(dir))
        paths.insert(fs::relative(entry.path(), dir));
    return paths;
}

class ExtractPart : public TextImage {
protected:
    void SetUp() override
    {
        TextImage::SetUp();
        make_of(
            "dir / mode=0755\ndir /etc mode=0700 mtime=5\nreg /etc/passwd\nreg /etc/shadow\ndir /etc/ssl "
            "mtime=6\nreg "
            "/etc/ssl/a.pem\nreg /etc/ssl/b.txt\ndir /usr mtime=7\ndir /usr/etc\nreg /usr/etc/c.pem\nlink "
            "/usr/linked /etc/ssl/a.pem\nreg /%5Bx%5D\ndir /empty\n");
    }

    Paths got(const std::vector<std::string> &options) const
    {
        fs::remove_all(extracted());
        const ToolResult result = extract(options);
        EXPECT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(result.err, "");
        return paths_below(extracted());
    }

    // Both ways give the same.
    void expect(const std::vector<std::string> &options, const Paths &wanted) const
    {
        EXPECT_EQ(got(options), wanted);
        std::vector<std::string> args = {"--tar"};
        args.insert(args.end(), options.begin(), options.end());
        const ToolResult tar = dump(args);
        EXPECT_EQ(tar.status, 0) << tar.err;
        std::istringstream in(tar.out);
        std::ostringstream out, err;
        ASSERT_EQ(mkdaxfs_main({image("again"), "--tar", "-"}, in, out, err), 0) << err.str();
        Paths in_tar;
        walk_image(ImageReader(image("again")), [&](const WalkEntry &entry) {
            if (!entry.path.empty())
                in_tar.insert(entry.path);
        });
        EXPECT_EQ(in_tar, wanted);
    }
};

TEST_F(ExtractPart, OnePathAndAllBelow)
{
    expect({"--only", "/etc/passwd"}, {"etc", "etc/passwd"});
    EXPECT_EQ(mode_of("etc"), 0700u);
    EXPECT_EQ(stat_of("etc").st_mtime, 5);
    expect({"--only", "/etc/ssl/"}, {"etc", "etc/ssl", "etc/ssl/a.pem", "etc/ssl/b.txt"});
    EXPECT_EQ(stat_of("etc/ssl").st_mtime, 6);
    expect({"--only", "./empty"}, {"empty"});
    expect({"--only", "/\\[x\\]"}, {"[x]"});
}

TEST_F(ExtractPart, SeveralPathsAndGlobs)
{
    expect({"--only", "/etc/passwd", "--only", "/empty"}, {"empty", "etc", "etc/passwd"});
    expect({"--only", "*.pem"}, {"etc", "etc/ssl", "etc/ssl/a.pem", "usr", "usr/etc", "usr/etc/c.pem"});
    expect({"--only", "/etc/s*/*.pem", "--only", "/[!e]*"},
           {"[x]", "etc", "etc/ssl", "etc/ssl/a.pem", "usr", "usr/etc", "usr/etc/c.pem", "usr/linked"});
}

TEST_F(ExtractPart, ExceptWhatIsExcluded)
{
    expect({"-x", "etc"}, {"[x]", "empty", "usr", "usr/linked"});
    expect({"-x", "/etc", "--exclude", "*.pem"}, {"[x]", "empty", "usr", "usr/etc", "usr/linked"});
    expect({"--only", "/etc", "-x", "ssl", "-x", "shadow"}, {"etc", "etc/passwd"});
    expect({"--only", "a.pem", "--only", "linked"}, {"etc", "etc/ssl", "etc/ssl/a.pem", "usr", "usr/linked"});
    ASSERT_EQ(got({"--only", "a.pem", "--only", "linked"}).size(), 5u);
    EXPECT_EQ(stat_of("usr/linked").st_ino, stat_of("etc/ssl/a.pem").st_ino);
    expect({"--only", "linked"}, {"usr", "usr/linked"});
}

TEST_F(ExtractPart, WhatNamesNothingIsSaidBeforeAnythingIsWritten)
{
    const ToolResult result = extract({"--only", "/etc/passwd", "--only", "/etc/passw"});
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: expected a glob that names something in the image, got /etc/passw\n");
    EXPECT_FALSE(fs::exists(extracted()));
    for (const std::vector<std::string> &wrong : {std::vector<std::string>{"--ls", "/", "--only", "x"},
                                                  {"--only", "x"},
                                                  {"--tar", "--overwrite"},
                                                  {"--preserve-owner"},
                                                  {"-R"},
                                                  {"--text", "-x", "x"},
                                                  {"--tar", "--only", "/"},
                                                  {"--tar", "--only", "a/../b"},
                                                  {"--extract", extracted(), "--overwrite", "--keep-newer"},
                                                  {"--tar", "--only", ""}})
        EXPECT_EQ(dump(wrong).status, 2) << wrong[0] << wrong.back();
}

class ExtractOver : public TextImage {
protected:
    // Something outside that nothing may reach.
    void SetUp() override
    {
        TextImage::SetUp();
        put("outside/file", "outside");
        const std::string ids = fmt::format("uid={} gid={}", geteuid(), getegid());
        make_of(fmt::format(
            "dir / mode=0755 mtime=10 {0}\nreg /a size=3 mtime=100 {0}\n+ bmV3\ndir /d mode=0750 mtime=20 "
            "{0}\nreg /d/f size=3 mtime=100 {0}\n+ bmV3\nlink /h /a\nlnk /l target=a mtime=100 {0}\nfifo /p "
            "mtime=100 {0}\n",
            ids));
    }

    void put(const std::string &path, const std::string &content, time_t mtime = 50) const
    {
        fs::create_directories((root() / path).parent_path());
        std::ofstream(root() / path) << content;
        const timespec times[2] = {{0, UTIME_OMIT}, {mtime, 0}};
        ASSERT_EQ(utimensat(AT_FDCWD, (root() / path).c_str(), times, 0), 0);
    }

    void expect_all_new() const
    {
        for (const std::string path : {"a", "d/f", "h"})
            EXPECT_EQ(read_file(extracted(path)), "new") << path;
        EXPECT_EQ(stat_of("a").st_ino, stat_of("h").st_ino);
        EXPECT_EQ(mode_of("d"), 0750u);
        EXPECT_EQ(stat_of("d").st_mtime, 20);
        EXPECT_EQ(stat_of("").st_mtime, 10);
        EXPECT_TRUE(S_ISFIFO(stat_of("p").st_mode));
        EXPECT_TRUE(S_ISLNK(stat_of("l").st_mode));
    }
    void expect_outside_untouched() const
    {
        EXPECT_EQ(paths_below(root() / "outside"), Paths{"file"});
        EXPECT_EQ(read_file(root() / "outside/file"), "outside");
    }
};

TEST_F(ExtractOver, IsRefusedUnlessAskedFor)
{
    put("out/other", "old");
    const ToolResult result = extract();
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.err.find("expected an empty directory to extract to"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("--overwrite"), std::string::npos) << result.err;
    EXPECT_EQ(paths_below(extracted()), Paths{"other"});
}

TEST_F(ExtractOver, Overwrite)
{
    put("out/a", "old", 1000);
    put("out/d/f", "old", 1000);
    put("out/d/other", "stays");
    ASSERT_EQ(chmod(extracted("d").c_str(), 0500), 0);
    const ToolResult result = extract({"--overwrite"});
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    expect_all_new();
    EXPECT_EQ(read_file(extracted("d/other")), "stays");
    EXPECT_EQ(extract({"--overwrite"}).status, 0) << "once more";
    expect_all_new();
}

// Neither a symlink nor another name of a file leads what is written outside.
TEST_F(ExtractOver, OverwriteStaysInside)
{
    fs::create_directory(extracted());
    fs::create_symlink(root() / "outside/file", extracted("a"));
    fs::create_symlink(root() / "outside", extracted("d"));
    fs::create_hard_link(root() / "outside/file", extracted("h"));
    fs::create_directory(extracted("l"));
    put("out/p", "old");
    const ToolResult result = extract({"--overwrite"});
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    expect_all_new();
    EXPECT_TRUE(S_ISDIR(stat_of("d").st_mode));
    expect_outside_untouched();
}

TEST_F(ExtractOver, OverwriteRemovesNoTree)
{
    put("out/a/precious", "old");
    put("out/d", "a file");
    const ToolResult result = extract({"--overwrite"});
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err, "dump.daxfs: /a: cannot replace the directory: Directory not empty\n");
    EXPECT_EQ(read_file(extracted("a/precious")), "old");
    EXPECT_EQ(read_file(extracted("d/f")), "new");
    EXPECT_EQ(read_file(extracted("h")), "new");
}

TEST_F(ExtractOver, AUserMayHaveLockedHimselfOut)
{
    const ToolResult first = extract_as_user();
    ASSERT_EQ(first.status, 0) << first.err;
    for (const mode_t mode : {0000, 0500}) {
        ASSERT_EQ(chmod(extracted("d").c_str(), mode), 0);
        const ToolResult result = extract_as_user({"--overwrite"});
        EXPECT_EQ(result.err, "");
        EXPECT_EQ(result.status, 0);
        expect_all_new();
    }
    ASSERT_EQ(chmod(extracted("d").c_str(), 0), 0);
    const ToolResult kept = extract_as_user({"--skip-existing"});
    EXPECT_EQ(kept.status, 1);
    EXPECT_EQ(kept.err, "dump.daxfs: /d: cannot enter the directory that is there: Permission denied\n");
    EXPECT_EQ(mode_of("d"), 0u);
}

TEST_F(ExtractOver, SkipExisting)
{
    put("out/a", "old");
    put("out/d/other", "stays");
    fs::create_symlink("nowhere", extracted("l"));
    fs::create_directory(extracted("p"));
    ASSERT_EQ(chmod(extracted("d").c_str(), 0711), 0);
    ASSERT_EQ(chmod(extracted().c_str(), 0711), 0);
    const ToolResult result = extract({"--skip-existing"});
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(read_file(extracted("a")), "old");
    EXPECT_EQ(read_file(extracted("h")), "new") << "no other name of what was there";
    EXPECT_EQ(read_file(extracted("d/f")), "new");
    EXPECT_EQ(fs::read_symlink(extracted("l")), "nowhere");
    EXPECT_EQ(mode_of("d"), 0711u);
    EXPECT_EQ(mode_of(""), 0711u);
    EXPECT_TRUE(S_ISDIR(stat_of("p").st_mode));
}

TEST_F(ExtractOver, SkipExistingStaysInside)
{
    fs::create_directory(extracted());
    fs::create_symlink(root() / "outside", extracted("d"));
    const ToolResult result = extract({"--skip-existing"});
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.err,
              "dump.daxfs: /d: what is there stays, and nothing below is written: Not a directory\n");
    EXPECT_EQ(read_file(extracted("a")), "new");
    expect_outside_untouched();
}

// Of the same time is not newer: an image's files may have one time all of them.
TEST_F(ExtractOver, KeepNewer)
{
    put("out/a", "old", 99);
    put("out/d/f", "newer", 101);
    put("out/h", "same", 100);
    const ToolResult result = extract({"--keep-newer"});
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(read_file(extracted("a")), "new");
    EXPECT_EQ(read_file(extracted("d/f")), "newer");
    EXPECT_EQ(read_file(extracted("h")), "new");
    EXPECT_EQ(mode_of("d"), 0750u) << "directories are the image's";
    fs::remove_all(extracted("d"));
    put("out/d", "newer", 101);
    const ToolResult other = extract({"--keep-newer"});
    EXPECT_EQ(other.status, 1);
    EXPECT_EQ(other.err,
              "dump.daxfs: /d: what is there stays, and nothing below is written: Not a directory\n");
}

// What is made in a directory that stays inherits its ACL, which is not the image's.
TEST_F(ExtractOver, NothingIsInherited)
{
    // u::rwx u:1000:rwx g::rwx m::rwx o::rwx, version 2
    constexpr unsigned char acl[] = {2,    0,    0,    0,    1,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, 2,  0, 7, 0,
                                     0xe8, 3,    0,    0,    4,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, 16, 0, 7, 0,
                                     0xff, 0xff, 0xff, 0xff, 32, 0, 7, 0, 0xff, 0xff, 0xff, 0xff};
    for (const std::string how : {"--skip-existing", "--overwrite"}) {
        fs::remove_all(extracted());
        fs::create_directories(extracted("d"));
        for (const std::string path : {"", "d"}) {
            if (setxattr(extracted(path).c_str(), "system.posix_acl_default", acl, sizeof(acl), 0) != 0)
                GTEST_SKIP() << "no ACLs on this filesystem";
        }
        const ToolResult result = extract({how});
        EXPECT_EQ(result.err, "");
        EXPECT_EQ(result.status, 0);
        for (const std::string path : {"a", "d/f", "p"})
            EXPECT_EQ(getxattr(extracted(path).c_str(), "system.posix_acl_access", nullptr, 0), -1)
                << path << how;
        EXPECT_EQ(getxattr(extracted("d").c_str(), "system.posix_acl_default", nullptr, 0) > 0,
                  how == "--skip-existing");
    }
}

} // namespace

} // namespace daxfs::test
