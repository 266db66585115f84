// SPDX-License-Identifier: Apache-2.0
// Lists of what to pack, which name files of this machine.
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "list_source.hpp"
#include "sources_fixture.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

class Lists : public Sources {
protected:
    void SetUp() override
    {
        Sources::SetUp();
        before_ = fs::current_path();
        fs::current_path(source());
    }
    void TearDown() override { fs::current_path(before_); }

private:
    fs::path before_;
};

// What find(1) names is what GNU tar makes of the same list.
TEST_F(Lists, NamesAsTarTakesThem)
{
    make_tree();
    const std::string list = root() / "names";
    for (const std::string &find :
         std::vector<std::string>{"find .", "find . -depth", "find dir odd -type f",
                                  "find " + source().string(), "find . -name 'nothing'"}) {
        ASSERT_EQ(shell(find + " -print0 >" + list), "");
        ASSERT_EQ(shell("tar " + pax + " --numeric-owner --null --no-recursion -T " + list +
                        " -cf ../list.tar 2>&1 | "
                        "grep -v 'Removing leading\\|socket ignored'; true"),
                  "");
        ASSERT_EQ(run({"--tar", root() / "list.tar"}).status, 0);
        fs::copy_file(image("other"), image(), fs::copy_options::overwrite_existing);
        expect_same_image({"--files-from", list});
    }
}

TEST_F(Lists, NamesByLines)
{
    add_file("a", "A");
    add_file("dir/b c", "B");
    fs::create_symlink("nowhere", source() / "l");
    ASSERT_EQ(chmod((source() / "a").c_str(), 0751), 0);
    ASSERT_EQ(run({"--files-from", "-"}, "a\n\ndir/b c\n./l").status, 0);
    {
        const ImageReader reader(image("other"));
        EXPECT_EQ(content_of(reader, "a"), "A");
        EXPECT_EQ(attr_of(reader, "a").mode & 07777, 0751u);
        EXPECT_EQ(content_of(reader, "dir/b c"), "B");
        EXPECT_EQ(attr_of(reader, "dir").mtime_sec, 0) << "nobody named it";
        EXPECT_TRUE(S_ISLNK(attr_of(reader, "l").mode));
    }
    // A directory is itself, without what is in it; other sources go under or over it.
    ASSERT_EQ(run({"--files-from", "-"}, "dir").status, 0);
    EXPECT_FALSE(ImageReader(image("other")).find("dir/b c"));
    ASSERT_EQ(run({"--files-from", "-", source(), "-x", "dir"}, "dir/b c\na\n").status, 0);
    EXPECT_FALSE(ImageReader(image("other")).find("dir"));
    EXPECT_EQ(content_of(ImageReader(image("other")), "a"), "A");
    fs::remove(image("other"));
    expect_error(run({"--files-from", "-"}, "a\nnothing\n"), "-, name 2: cannot stat nothing: No such file");
    expect_error(run({"--files-from", "-"}, "../source/a\n"), "-, name 1: expected a path without \"..\"");
    expect_error(run({"--files-from", root() / "none"}), "No such file");
    expect_error(run({"--files-from", source()}), "Is a directory");
}

TEST_F(Lists, LinesSayWhereAndWhat)
{
    add_file("a", noise(100000, 1));
    add_file("b c", "B");
    add_file("dir/inside", "i");
    ASSERT_EQ(chmod((source() / "dir").c_str(), 0711), 0);
    set_mtime("a", 99, 5);
    const ToolResult result = run({"--list", "-"}, "# what goes where\n\n"
                                                   "/usr/bin/tool a mode=0755 uid=0 gid=5 xattr.user.x=y\n"
                                                   "etc/b%20c  " +
                                                       source().string() +
                                                       "/b%20c mtime=7 mode=go=\n"
                                                       "/etc dir uid=3\n"
                                                       "/again ./a\n");
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "usr/bin/tool"), noise(100000, 1));
    EXPECT_EQ(attr_of(reader, "usr/bin/tool").mode, S_IFREG | 0755u);
    EXPECT_EQ(attr_of(reader, "usr/bin/tool").gid, 5u);
    EXPECT_EQ(attr_of(reader, "usr/bin/tool").mtime_sec, 99) << "what is not said is the file's";
    EXPECT_EQ(reader.xattrs(attr_of(reader, "usr/bin/tool").node).size(), 1u);
    EXPECT_EQ(content_of(reader, "etc/b c"), "B");
    EXPECT_EQ(attr_of(reader, "etc/b c").mode & 0077, 0u);
    EXPECT_EQ(attr_of(reader, "etc").uid, 3u);
    EXPECT_EQ(attr_of(reader, "etc").mode & 07777, 0711u);
    EXPECT_FALSE(reader.find("etc/inside"));
    EXPECT_EQ(attr_of(reader, "again").node.data, attr_of(reader, "usr/bin/tool").node.data) << "stored once";
    fs::remove(image("other"));
    const auto refused = [&](const std::string &line, const std::string &why) {
        expect_error(run({"--list", "-"}, "/x a\n" + line + "\n"), "-, line 2: " + why);
    };
    refused("/y", "expected a file of this machine behind /y");
    refused("/y nothing", "cannot stat nothing: No such file or directory");
    refused("/y a 0644", "expected KEY=VALUE, got 0644");
    refused("/y a size=5", "unknown here: size");
    refused("/y a mode=9", "expected a number as mode, got 9");
    refused("/y %zz", "expected bytes with %XX, got %zz");
    refused("/x/y a", "/x/y leads through /x, which is no directory");
    refused("/ a", "expected a directory as the root, got something else");
    expect_error(run({"--list", "-", "--files-from", "-"}), "(-) once, got it twice", 2);
}

TEST_F(Lists, HardLinks)
{
    add_file("a", "A");
    fs::create_hard_link("a", "b");
    fs::create_hard_link("a", "c");
    ASSERT_EQ(run({"--files-from", "-"}, "a\nb\n").status, 0);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "b").nlink, 2u);
    ASSERT_EQ(run({"--files-from", "-", "--hard-dereference"}, "a\nb\n").status, 0);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "b").nlink, 1u);
    // A line that changes something means a file of its own; what has taken a name's place is no link to it.
    add_file("other", "O");
    ASSERT_EQ(run({"--list", "-"}, "/a a\n/b b mode=0600\n/a other\n/c c\n/d a\n").status, 0);
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "a") + content_of(reader, "b") + content_of(reader, "c"), "OAA");
    EXPECT_EQ(attr_of(reader, "b").nlink, 1u);
    EXPECT_EQ(attr_of(reader, "c").nlink, 2u);
}

TEST_F(Lists, WhatIsGoneOrTheImage)
{
    add_file("a", "A");
    ASSERT_EQ(run({"--files-from", "-"}, "a\n").status, 0);
    const ToolResult going = run({"--files-from", "-", "--keep-going", "--json"}, "nothing\na\nno/thing\n");
    EXPECT_EQ(going.status, 3);
    EXPECT_NE(going.out.find("\"left_out\":2,"), std::string::npos) << going.out;
    EXPECT_EQ(going.err, "mkdaxfs: left out: cannot stat nothing: No such file or directory\n"
                         "mkdaxfs: left out: cannot stat no/thing: No such file or directory\n");
    EXPECT_TRUE(ImageReader(image("other")).find("a"));
    for (const std::string &name : std::vector<std::string>{"../other", image("other").string()}) {
        const ToolResult own = run({"--list", "-"}, "/a a\n/image " + name + "\n");
        EXPECT_EQ(own.status, 0);
        EXPECT_EQ(own.err, "mkdaxfs: left out: /image, which is the image itself\n");
        EXPECT_FALSE(ImageReader(image("other")).find("image"));
    }
    // A file that changes behind the list's back.
    std::istringstream names("a\n");
    ListSource list(names, "-", ListSource::Form::names, {}, {});
    const Workers workers;
    const auto tree = list.scan(workers);
    tree->finish(workers);
    const NodeId id = tree->by_ino[1];
    EXPECT_NO_THROW(list.open(*tree, id));
    add_file("a", "longer");
    EXPECT_THROW(list.open(*tree, id), std::runtime_error);
}

} // namespace

} // namespace daxfs::test
