// SPDX-License-Identifier: Apache-2.0
// What patterns leave out and keep, from the command line and from files.
#include <fstream>

#include "glob.hpp"
#include "sources_fixture.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

TEST(Glob, MatchesAnyDepth)
{
    const auto matches = [](const char *glob, const char *path) { return Glob(glob).matches(path); };
    for (const char *path : {"doc", "usr/doc", "usr/share/doc", "a/b/c/doc"}) {
        EXPECT_TRUE(matches("**/doc", path)) << path;
        EXPECT_TRUE(matches("/**/doc", path)) << path;
        EXPECT_TRUE(matches("**/**/doc", path)) << path;
    }
    EXPECT_FALSE(matches("**/doc", "doc/usr"));
    EXPECT_FALSE(matches("**/doc", "usr/adoc"));
    // A "*" is one name, and a path with a slash begins at the root.
    EXPECT_TRUE(matches("*/doc", "usr/doc"));
    EXPECT_FALSE(matches("*/doc", "usr/share/doc"));
    EXPECT_FALSE(matches("*/doc", "doc"));
    EXPECT_FALSE(matches("share/doc", "usr/share/doc"));
    // At the end: what is below, and not the directory.
    EXPECT_TRUE(matches("usr/**", "usr/a"));
    EXPECT_TRUE(matches("usr/**", "usr/a/b"));
    EXPECT_FALSE(matches("usr/**", "usr"));
    EXPECT_FALSE(matches("usr/**", "lib/usr/a"));
    EXPECT_TRUE(matches("**", "a/b"));
    EXPECT_TRUE(matches("/**", "a/b"));
    // In between: none or more.
    for (const char *path : {"a/z", "a/b/z", "a/b/c/z", "a/z/z"})
        EXPECT_TRUE(matches("a/**/z", path)) << path;
    EXPECT_FALSE(matches("a/**/z", "a/b/zz"));
    EXPECT_FALSE(matches("a/**/z", "a"));
    EXPECT_TRUE(matches("**/b/**/d/*.o", "x/b/b/c/d/d/e.o"));
    EXPECT_FALSE(matches("**/b/**/d/*.o", "x/b/c/e.o"));
    // Within a name two stars are one, and never a slash.
    EXPECT_TRUE(matches("a/x**y", "a/x1y"));
    EXPECT_FALSE(matches("a/x**y", "a/x/y"));
    EXPECT_TRUE(matches("**/\\**", "a/*b"));
    EXPECT_FALSE(matches("**/\\**", "a/b"));
    EXPECT_TRUE(matches("**/a\\/b", "c/a/b"));
    // Many of them are no reason to try for ever.
    std::string many;
    for (int i = 0; i < 40; ++i)
        many += "**/a/";
    std::string deep = "a";
    for (int i = 0; i < 400; ++i)
        deep += "/a";
    EXPECT_FALSE(matches((many + "b").c_str(), deep.c_str()));
    for (const char *wrong : {"", "/", "a\\", "a/b\\\\\\", "a\\/", "a/.."})
        EXPECT_THROW(Glob{wrong}, std::invalid_argument) << wrong;
    EXPECT_TRUE(matches("a\\\\", "a\\"));
}

class Filters : public Sources {
protected:
    void SetUp() override
    {
        Sources::SetUp();
        for (const std::string path :
             {"doc/a", "usr/doc/a", "usr/share/doc/keep/x", "usr/share/doc/copyright", "usr/bin/a.o", "#odd",
              "!odd", "blank ", "a.o", "b.o"})
            add_file(path, path);
    }

    // Which of the tree is left; what is told comes behind it.
    std::string left(std::vector<std::string> args, const std::string &input = "") const
    {
        args.insert(args.begin(), source());
        const ToolResult result = run(args, input);
        EXPECT_EQ(result.status, 0) << result.err;
        const ImageReader reader(image("other"));
        std::string paths;
        for (const std::string path :
             {"doc", "doc/a", "usr/doc", "usr/share/doc", "usr/share/doc/keep", "usr/share/doc/keep/x",
              "usr/share/doc/copyright", "usr/bin/a.o", "#odd", "!odd", "blank ", "a.o", "b.o"})
            paths += reader.find(path) ? path + "|" : "";
        return paths + result.err;
    }
};

TEST_F(Filters, AnyDepthAndExceptions)
{
    const std::string rest = "usr/bin/a.o|#odd|!odd|blank |a.o|b.o|";
    EXPECT_EQ(left({"-x", "**/doc"}), rest);
    EXPECT_EQ(left({"-x", "usr/**/doc"}), "doc|doc/a|" + rest);
    EXPECT_EQ(left({"-x", "*/doc"}), "doc|doc/a|usr/share/doc|usr/share/doc/keep|usr/share/doc/keep/x|"
                                     "usr/share/doc/copyright|" +
                                         rest);
    // The last one that matches decides.
    const std::string docs = "doc|doc/a|usr/doc|usr/share/doc|usr/share/doc/keep|usr/share/doc/keep/x|"
                             "usr/share/doc/copyright|";
    EXPECT_EQ(left({"-x", "*.o", "-x", "!/b.o"}), docs + "#odd|!odd|blank |b.o|");
    EXPECT_EQ(left({"-x", "!b.o", "-x", "*.o"}), docs + "#odd|!odd|blank |");
    EXPECT_EQ(left({"-x", "*.o", "-x", "!*.o", "-x", "a.o"}), docs + "#odd|!odd|blank |b.o|");
    EXPECT_EQ(left({"--exclude-regex", "\\.o$", "-x", "!/b.o"}), docs + "#odd|!odd|blank |b.o|");
    EXPECT_EQ(left({"-x", "!/b.o", "--exclude-regex", "\\.o$"}), docs + "#odd|!odd|blank |");
    // What is below a directory that is left out cannot be kept; what is below one that is kept, can.
    EXPECT_EQ(left({"-x", "/usr/share/doc/*", "-x", "!keep", "-x", "/doc", "-x", "/usr/doc"}),
              "usr/share/doc|usr/share/doc/keep|usr/share/doc/keep/x|" + rest);
    EXPECT_EQ(left({"-x", "doc", "-x", "!keep"}),
              rest + "mkdaxfs: nothing matches what --exclude says: !keep\n");
    EXPECT_EQ(left({"-x", "\\!odd"}), docs + "usr/bin/a.o|#odd|blank |a.o|b.o|");
    fs::remove(image("other"));
    for (const std::string wrong : {"!", "!/", "a\\"})
        expect_error(run({source(), "-x", wrong}), "mkdaxfs: --exclude: expected a ", 2);
}

TEST_F(Filters, SameFromAnArchive)
{
    const std::vector<std::string> filters = {"-x", "**/doc",           "-x", "!/usr/share/doc",
                                              "-x", "/usr/share/doc/*", "-x", "!keep"};
    tar("t.tar", pax);
    make(filters);
    std::vector<std::string> args = {"--tar", root() / "t.tar"};
    args.insert(args.end(), filters.begin(), filters.end());
    expect_same_image(args);
    EXPECT_TRUE(ImageReader(image()).find("usr/share/doc/keep/x"));
    EXPECT_FALSE(ImageReader(image()).find("usr/share/doc/copyright"));
    EXPECT_FALSE(ImageReader(image()).find("doc"));
}

TEST_F(Filters, FromAFile)
{
    const std::string list = root() / "list";
    std::ofstream(list) << "# what is not wanted\n\n**/doc  \t\n*.o\n!/b.o\n\\#odd\n\\!odd\nblank\\ \n";
    EXPECT_EQ(left({"--exclude-from", list}), "b.o|");
    EXPECT_EQ(left({"--exclude-from", list, "-x", "!a.o"}), "usr/bin/a.o|a.o|b.o|");
    EXPECT_EQ(left({"-x", "!a.o", "--exclude-from", list}), "b.o|") << "in the order of the command line";
    EXPECT_EQ(
        left({"--exclude-from", "-"}, "*.o\r\nnothing/here\ndoc"),
        "usr/bin/a.o|#odd|!odd|blank |a.o|b.o|mkdaxfs: nothing matches what --exclude says: *.o\\x0d (- "
        "line 1), nothing/here (- line 2)\n");
    fs::remove(image("other"));
    expect_error(run({source(), "--exclude-from", "-"}, "fine\n/\n"),
                 "- line 2: expected a glob for what is below");
    expect_error(run({source(), "--exclude-from", "-"}, "fine\n\na/../b\n"),
                 "- line 3: expected a glob without");
    expect_error(run({source(), "--exclude-from", "-"}, std::string("a\0b\n", 4)),
                 "- line 1: expected a glob a");
    expect_error(run({source(), "--exclude-from", root() / "none"}), "No such file");
    expect_error(run({source(), "--exclude-from", source()}), "Is a directory");
    expect_error(run({source(), "--exclude-from", "-", "--order", "-"}), "(-) once, got it twice", 2);
}

TEST_F(Filters, WhatMatchesNothingIsNamed)
{
    const auto told = [&](std::vector<std::string> args) {
        args.insert(args.begin(), source());
        return run(args).err;
    };
    EXPECT_EQ(told({"-x", "*.o", "-x", "a.o", "-x", "b.o"}), "") << "also what others have decided already";
    EXPECT_EQ(told({"-x", "*.c", "-x", "a.o", "--exclude-regex", "x{9}"}),
              "mkdaxfs: nothing matches what --exclude says: *.c, x{9}\n");
    EXPECT_EQ(told({"-x", "1", "-x", "2", "-x", "3", "-x", "4", "-x", "5", "-x", "6", "-x", "7"}),
              "mkdaxfs: nothing matches what --exclude says: 1, 2, 3, 4, 5 and 2 more\n");
    EXPECT_EQ(told({"-x", "*.c", "-q"}), "");
}

} // namespace

} // namespace daxfs::test
