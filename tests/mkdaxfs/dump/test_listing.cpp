// SPDX-License-Identifier: Apache-2.0
// dump.daxfs --ls: what ls -l tells, of a directory, a file, or all below.
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text_image.hpp"

namespace daxfs::test {

namespace {

class Listing : public TextImage {
protected:
    void SetUp() override
    {
        TextImage::SetUp();
        setenv("TZ", "UTC", 1);
        tzset();
        // u::rwx u:1000:rwx g::rwx m::rwx o::rwx, version 2
        const std::string acl =
            "%02%00%00%00%01%00%07%00%FF%FF%FF%FF%02%00%07%00%E8%03%00%00%04%00%07%00%FF%FF%FF%FF"
            "%10%00%07%00%FF%FF%FF%FF%20%00%07%00%FF%FF%FF%FF";
        make_of("dir / mode=0755\n"
                "reg /a size=3 uid=1000 gid=100 mode=4755 mtime=1767323045.500000000\n+ YWJj\n"
                "link /b /a\n"
                "chr /c dev=1:3 mode=0666 mtime=9223372036854775807\n"
                "blk /d%0Ae dev=4095:1048575 mode=0660 mtime=-1\n"
                "dir /dir mode=1777 mtime=60\n"
                "reg /dir/acl mode=0777 xattr.system.posix_acl_access=" +
                acl +
                "\n"
                "dir /dir/sub mode=2640\nreg /dir/sub/f mode=6000\n"
                "fifo /p mode=0000\nlnk /l target=to%FF%0Ahere mode=0777\nsock /s mode=0777\n");
    }

    std::string list(const std::vector<std::string> &options) const
    {
        const ToolResult result = dump(options);
        EXPECT_EQ(result.status, 0) << result.err;
        return result.out;
    }
};

TEST_F(Listing, ADirectoryAsLsDoes)
{
    EXPECT_EQ(list({"--ls", "/"}),
              "-rwsr-xr-x    2  1000   100             3 2026-01-02 03:04:05 a\n"
              "-rwsr-xr-x    2  1000   100             3 2026-01-02 03:04:05 b\n"
              "crw-rw-rw-    1     0     0          1, 3 @9223372036854775807 c\n"
              "brw-rw----    1     0     0 4095, 1048575 1969-12-31 23:59:59 d\\x0ae\n"
              "drwxrwxrwt    3     0     0            54 1970-01-01 00:01:00 dir\n"
              "lrwxrwxrwx    1     0     0             8 1970-01-01 00:00:00 l -> to\\xff\\x0ahere\n"
              "p---------    1     0     0             0 1970-01-01 00:00:00 p\n"
              "srwxrwxrwx    1     0     0             0 1970-01-01 00:00:00 s\n");
    setenv("TZ", "UTC-2", 1);
    tzset();
    EXPECT_NE(list({"--ls", "/"}).find("2026-01-02 05:04:05 a\n"), std::string::npos) << "the local time";
}

TEST_F(Listing, WhatIsNoDirectoryItself)
{
    EXPECT_EQ(list({"--ls", "/c"}), "crw-rw-rw-    1     0     0          1, 3 @9223372036854775807 /c\n");
    EXPECT_EQ(list({"--ls", "l"}),
              "lrwxrwxrwx    1     0     0             8 1970-01-01 00:00:00 l -> to\\xff\\x0ahere\n");
    const ToolResult none = dump({"--ls", "dir/none"});
    EXPECT_EQ(none.status, 1);
    EXPECT_EQ(none.err, "dump.daxfs: dir/none is not in the image\n");
}

TEST_F(Listing, AllBelowWithWholePaths)
{
    const std::string below = "drwxrwxrwt    3     0     0            54 1970-01-01 00:01:00 /dir\n"
                              "-rwxrwxrwx+   1     0     0             0 1970-01-01 00:00:00 /dir/acl\n"
                              "drw-r-S---    2     0     0            33 1970-01-01 00:00:00 /dir/sub\n"
                              "---S--S---    1     0     0             0 1970-01-01 00:00:00 /dir/sub/f\n";
    EXPECT_EQ(list({"-R", "--ls", "dir"}), below);
    const std::string all = list({"--recursive", "--ls", "/"});
    EXPECT_NE(all.find(" /\n"), std::string::npos);
    EXPECT_NE(all.find(below), std::string::npos) << all;
    EXPECT_NE(all.find(" /d\\x0ae\n"), std::string::npos);
}

TEST_F(Listing, JsonIsAnObjectALine)
{
    std::istringstream lines(list({"--json", "-R", "--ls", "/"}));
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(lines, line);)
        all.push_back(nlohmann::json::parse(line));
    ASSERT_EQ(all.size(), 12u);
    EXPECT_EQ(all[0]["path"], "/");
    EXPECT_EQ(all[1]["path"], "/a");
    EXPECT_EQ(all[1]["mtime"], "1767323045.500000000");
    EXPECT_EQ(all[4]["path"], "/d\\x0ae");
    EXPECT_EQ(all[4]["device"], "4095:1048575");
    EXPECT_EQ(all[9]["target"], "to\\xff\\x0ahere");
}

// What --digest put into the image can be asked for, as sha256sum prints it.
TEST_F(Listing, Digests)
{
    EXPECT_EQ(dump({"--json", "--stat", "/a"}).out.find("digest"), std::string::npos);
    add_file("abc", "abc");
    make({"--digest", "sha256"});
    const auto json = nlohmann::json::parse(dump({"--json", "--stat", "/abc"}).out);
    EXPECT_EQ(json["digest"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

} // namespace

} // namespace daxfs::test
