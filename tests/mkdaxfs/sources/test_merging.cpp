// SPDX-License-Identifier: Apache-2.0
// Several sources, text, and what options change of them.
#include <fstream>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sources_fixture.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

TEST_F(Sources, LaterOverEarlier)
{
    add_file("both/one", "1");
    add_file("both/two", "2");
    add_file("becomes-dir", "f");
    add_file("gone/deep/er", "x");
    const fs::path second = root() / "second";
    fs::create_directories(second / "both");
    fs::create_directories(second / "becomes-dir");
    std::ofstream(second / "both/two") << "changed";
    std::ofstream(second / "becomes-dir/inside") << "i";
    std::ofstream(second / "gone") << "a file now";
    fs::create_hard_link(second / "gone", second / "both/hard");
    ASSERT_EQ(chmod((second / "both").c_str(), 0711), 0);
    const ToolResult result = run({source(), second, "--pseudo", "-"}, "# devices\ndaxfs-text");
    EXPECT_EQ(result.status, 1);
    const ToolResult merged =
        run({source(), second, "--pseudo", "-"}, "daxfs-text 1\n# devices without being root\n"
                                                 "chr /dev/null mode=0666 dev=1:3\nremove /both/one\n"
                                                 "reg /motd mode=0600 uid=5 size=6\n+ aGVsbG8K\n");
    ASSERT_EQ(merged.status, 0) << merged.err;
    const ImageReader reader(image("other"));
    EXPECT_FALSE(reader.find("both/one"));
    EXPECT_EQ(content_of(reader, "both/two"), "changed");
    EXPECT_EQ(content_of(reader, "becomes-dir/inside"), "i");
    EXPECT_EQ(content_of(reader, "both/hard"), "a file now");
    EXPECT_EQ(attr_of(reader, "gone").nlink, 2u);
    EXPECT_EQ(attr_of(reader, "both").mode & 07777, 0711u);
    EXPECT_EQ(attr_of(reader, "dev/null").rdev_minor, 3u);
    EXPECT_EQ(content_of(reader, "motd"), "hello\n");
    EXPECT_EQ(attr_of(reader, "motd").uid, 5u);
}

TEST_F(Sources, TextErrorsNameTheLine)
{
    const auto error = [&](const std::string &text, const std::string &part) {
        expect_error(run({"--text", "-"}, text), part);
    };
    error("", "-, line 1: expected \"daxfs-text 1\"");
    error("daxfs-text 1\nfile /x\n", "-, line 2: expected reg, dir");
    error("daxfs-text 2\nreg /x\n",
          "-, line 3: expected \"end\" as the last line, got the end of a text that was cut");
    error("daxfs-text 2\n", "-, line 2: expected \"end\" as the last line");
    error("daxfs-text 2\nend\nreg /x\n", "-, line 3: expected nothing after \"end\", got more");
    error("daxfs-text 1\nend\n", "-, line 2: expected reg, dir");
    error("daxfs-text 1\nreg /x size=5\n+ aGVs\n", "expected 5 bytes before this line, got 3");
    error("daxfs-text 1\nreg /x size=2\n+ aGVs\n", "more than the 2 bytes");
    error("daxfs-text 1\nreg /x size=3\n+ a-Vs\n", "expected base64");
    error("daxfs-text 1\nreg /x mode=9\n", "expected a number as mode, got 9");
    error("daxfs-text 1\nreg /%zz\n", "expected bytes with %XX");
    error("daxfs-text 1\nlink /a /b\n", "line 2: hard link /a to /b: that is not in the tree");
    error("daxfs-text 1\nreg /a\nreg /a/b\n", "no directory");
    error("daxfs-text 1\nreg /d/a\nlink /d/c /d/a\nreg /d/a\nreg /d/c/b\n",
          "line 5: /d/c/b leads through /d/c, which is no directory");
    error("daxfs-text 1\nchr\n", "line 2: expected a path after chr");
    error("daxfs-text 1\nreg /a\nremove /b\n",
          "line 3: expected a path that an earlier source put there, got /b");
    error("daxfs-text 1\nreg /a\nremove /a\n",
          "line 3: expected a path that an earlier source put there, got /a");
    error("daxfs-text 1\nreg /a xattr.user.=v\n", "line 2: expected xattr.NAMESPACE.NAME=VALUE, got user.");
    error("daxfs-text 1\nremove\n", "line 2: expected a path that an earlier source put there, got none");
    error("daxfs-text 1\nremove /../x\n", "line 2: expected a path without \"..\", got /../x");
    error("daxfs-text 1\nlnk /a\n", "not 1 to 4095 bytes");
    error("daxfs-text 1\nreg /" + std::string(256, 'n') + "\n", "name of 256 bytes");
    error("daxfs-text 1\nreg /x size=99999999999999999999\n", "expected a number as size");
    error("daxfs-text 1\nreg /x size=9223372036854775807\n0 9223372036854775807\n", "more than can be kept");
}

TEST_F(Sources, MappingOfOwnersTimesAndXattrs)
{
    const fs::path file = add_file("a/file", "x");
    add_file("a/b.tmp", "y");
    set_mtime("a/file", 5000, 5);
    if (setxattr(file.c_str(), "user.keep", "k", 1, 0) != 0 ||
        setxattr(file.c_str(), "user.drop", "d", 1, 0) != 0)
        GTEST_SKIP() << "no user xattrs on this filesystem";
    setenv("SOURCE_DATE_EPOCH", "4000", 1);
    const ToolResult result = run({source(), "--uid-offset", "100000", "--gid-offset", "7", "--xattr-exclude",
                                   "user.d*", "--exclude-regex", "a/.*\\.tmp$"});
    unsetenv("SOURCE_DATE_EPOCH");
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    const daxfs_attr attr = attr_of(reader, "a/file");
    EXPECT_EQ(attr.uid, 100000u + getuid());
    EXPECT_EQ(attr.gid, 7u + getgid());
    EXPECT_EQ(attr.mtime_sec, 4000);
    EXPECT_EQ(attr.mtime_nsec, 0u);
    EXPECT_FALSE(reader.find("a/b.tmp"));
    const auto xattrs = reader.xattrs(attr.node);
    ASSERT_EQ(xattrs.size(), 1u);
    EXPECT_EQ(xattrs[0].name, "keep");
    fs::remove(image("other"));
    expect_error(run({source(), "--exclude-regex", "("}), "expected a regular expression", 2);
}

TEST_F(Sources, ExcludeByGlob)
{
    for (const std::string path : {"d/file", "sub/d/file", "sub/keep.o", "top.o", "sub/name", "name"})
        add_file(path, path);
    const auto left = [&](const std::vector<std::string> &globs) {
        std::vector<std::string> args = {source()};
        for (const std::string &glob : globs)
            args.insert(args.end(), {"--exclude", glob});
        const ToolResult result = run(args);
        EXPECT_EQ(result.status, 0) << result.err;
        const ImageReader reader(image("other"));
        std::string paths;
        for (const std::string path : {"d", "sub/d", "sub/keep.o", "top.o", "sub/name", "name"})
            paths += reader.find(path) ? path + " " : "";
        return paths;
    };
    EXPECT_EQ(left({}), "d sub/d sub/keep.o top.o sub/name name ");
    EXPECT_EQ(left({"*.o", "d"}), "sub/name name ") << "names, wherever they are";
    EXPECT_EQ(left({"sub/*"}), "d top.o name ") << "a path";
    EXPECT_EQ(left({"/name", "*/d"}), "d sub/keep.o top.o sub/name ");
    EXPECT_EQ(left({"d/"}), "sub/keep.o top.o sub/name name ") << "as a shell completes it";
    EXPECT_EQ(left({"sub/d//"}), "d sub/keep.o top.o sub/name name ");
    EXPECT_EQ(left({"./d"}), "sub/d sub/keep.o top.o sub/name name ") << "below the root only";
    EXPECT_EQ(left({".//./d/", "./*.o"}), "sub/d sub/keep.o sub/name name ");
    for (const std::string name : {"sub//name", "sub/./name", "/sub/name/.", ".//sub//name"})
        EXPECT_EQ(left({name}), "d sub/d sub/keep.o top.o name ") << "as scripts join it";
    fs::remove(image("other"));
    for (const std::string glob : {"/", ".", "./", "//"})
        expect_error(run({source(), "--exclude", glob}),
                     "expected a glob for what is below the root, got " + glob, 2);
    for (const std::string glob : {"..", "../sub/name", "sub/../name"})
        expect_error(run({source(), "--exclude", glob}), "expected a glob without \"..\", got " + glob, 2);
}

// What is merged may give a directory's files names that the directory does not have.
TEST_F(Sources, ALabelCanBeTakenAway)
{
    const std::string text = "daxfs-text 1\nlabel name\n";
    ASSERT_EQ(run({"--text", "-"}, text).status, 0);
    EXPECT_STREQ(ImageReader(image("other")).image().label, "name");
    ASSERT_EQ(run({"--text", "-", "--label", ""}, text).status, 0);
    EXPECT_STREQ(ImageReader(image("other")).image().label, "");
}

} // namespace

} // namespace daxfs::test
