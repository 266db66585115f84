// SPDX-License-Identifier: Apache-2.0
// What dump.daxfs gives back is what went in: directory, tar, text.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compare_tree.hpp"
#include "dump.hpp"
#include "image_reader.hpp"
#include "mkdaxfs.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class DumpForms : public TreeTest {
protected:
    void SetUp() override
    {
        TreeTest::SetUp();
        add_file("dir/file", noise(10000, 1));
        fs::create_hard_link(source() / "dir/file", source() / "a-link");
        for (const std::string name :
             {"new\nline", "quote\"'", "\xff\xfe", "\xc3\xbc", "back\\slash", "%41 b"})
            add_file("odd/" + name, name);
        fs::create_symlink("dir/\xff", source() / "symlink");
        add_file("large", noise(5 << 20, 2));
        add_file("copy", noise(10000, 1));
        fs::resize_file(add_file("holes", noise(5000, 3)), 10 << 20);
        fs::resize_file(add_file("all-hole", ""), 200000);
        add_file("empty", "");
        ASSERT_EQ(mkfifo((source() / "fifo").c_str(), 0600), 0);
        ASSERT_EQ(chmod(add_file("setuid", "s").c_str(), 04755), 0);
        if (setxattr((source() / "dir").c_str(), "user.te=st %", "a\0b", 3, 0) != 0)
            std::puts("no user xattrs on this filesystem, not tried");
        set_mtime("dir/file", -5, 250000000);
        set_mtime("large", 5000000000, 1);
        std::string deep = "d";
        for (int i = 0; i < 100; ++i)
            deep += "/d";
        add_file(deep + "/bottom", "b");
        make({"--label", "a label"});
    }

    void expect_same_image(const std::vector<std::string> &options, const std::string &input) const
    {
        std::vector<std::string> args = {image("again")};
        args.insert(args.end(), options.begin(), options.end());
        std::istringstream in(input);
        std::ostringstream out;
        std::ostringstream err;
        ASSERT_EQ(mkdaxfs_main(args, in, out, err), 0) << err.str();
        EXPECT_TRUE(read_file(image("again")) == read_file(image()));
    }
};

TEST_F(DumpForms, TextGivesTheSameImage)
{
    const ToolResult text = dump({"--text"});
    ASSERT_EQ(text.status, 0) << text.err;
    expect_same_image({"--text", "-"}, text.out);
}

// Where a pipe breaks off, mkdaxfs must not take what came for a tree.
TEST_F(DumpForms, TextThatWasCutIsNoTree)
{
    const std::string text = dump({"--text"}).out;
    for (std::size_t end = text.find('\n'); end + 1 < text.size(); end = text.find('\n', end + 1)) {
        if (text.compare(end + 1, 2, "+ ") == 0)
            continue; // inside a file, which is too short then in any version
        std::istringstream in(text.substr(0, end + 1));
        std::ostringstream out;
        std::ostringstream err;
        EXPECT_EQ(mkdaxfs_main({image("cut"), "--text", "-"}, in, out, err), 1) << end;
        ASSERT_FALSE(fs::exists(image("cut"))) << end;
    }
}

TEST_F(DumpForms, TextWithDigests)
{
    make({"--digest", "xxh3"});
    expect_same_image({"--text", "-"}, dump({"--text"}).out);
}

TEST_F(DumpForms, TarGivesTheSameImage)
{
    // What libarchive's tar gets wrong: '=' in the name of an extended attribute.
    removexattr((source() / "dir").c_str(), "user.te=st %");
    make({"--label", "a label"});
    const ToolResult tar = dump({"--tar"});
    ASSERT_EQ(tar.status, 0) << tar.err;
    // Five seconds less a quarter before 1970, as pax(1) and GNU tar write it; libarchive would write -5.25.
    EXPECT_NE(tar.out.find(" mtime=-4.75\n"), std::string::npos);
    expect_same_image({"--tar", "-", "--label", "a label"}, tar.out);
}

TEST_F(DumpForms, ExtractGivesTheSameTree)
{
    const ToolResult result = dump({"--extract", root() / "out"});
    ASSERT_EQ(result.status, 0) << result.err;
    expect_same_tree(root() / "out", ImageReader(image()));
    struct stat st = {};
    ASSERT_EQ(stat((root() / "out/holes").c_str(), &st), 0);
    EXPECT_LT(st.st_blocks * 512, 1 << 20) << "holes are written";
    // A directory that holds something is left alone.
    EXPECT_EQ(dump({"--extract", root() / "out"}).status, 1);
    EXPECT_NE(dump({"--extract", root() / "out"}).err.find("expected an empty directory"), std::string::npos);
}

// An image whose names lead out of the tree, and one whose directories form a loop.
TEST_F(DumpForms, ExtractStaysInside)
{
    fs::remove_all(source());
    fs::create_directory(source());
    add_file("aa/../evil", "e");
    add_file("xx/file", "f");
    make();
    const std::string good = read_file(image());
    const ImageReader reader(image());
    for (const std::string name : {"..", "a/", "/a", "xx"}) {
        std::string bytes = good;
        std::size_t at = reader.image().dirs.off;
        for (const std::string from : {"aa", "xx"}) {
            const std::size_t found = bytes.find(from, at);
            if (from == "xx" && name != "xx")
                break;
            ASSERT_LT(found, reader.image().dirs.off + reader.image().dirs.len);
            std::memcpy(&bytes[found], name.data(), 2);
        }
        std::ofstream(image("bad"), std::ios::binary) << bytes;
        std::ostringstream out;
        std::ostringstream err;
        EXPECT_EQ(dump_main({image("bad"), "--extract", root() / "inner/out"}, out, err), 1);
        fs::create_directories(root() / "inner");
        EXPECT_EQ(dump_main({image("bad"), "--extract", root() / "inner/out"}, out, err), 1) << name;
        std::size_t entries = 0;
        for ([[maybe_unused]] const auto &entry : fs::directory_iterator(root() / "inner"))
            ++entries;
        EXPECT_LE(entries, 1u) << name;
        fs::remove_all(root() / "inner");
    }
}

TEST_F(DumpForms, Diff)
{
    EXPECT_EQ(dump({"--diff", image()}).out, "");
    EXPECT_EQ(dump({"--diff", image()}).status, 0);
    fs::remove(source() / "empty");
    add_file("new/below", "n");
    std::ofstream(source() / "large", std::ios::in | std::ios::out | std::ios::binary).seekp(1 << 20)
        << "changed";
    set_mtime("large", 5000000000, 1);
    ASSERT_EQ(chmod((source() / "setuid").c_str(), 0755), 0);
    set_mtime(".", 1, 0);
    make({}, "other");
    const ToolResult diff = dump({"--diff", image("other")});
    EXPECT_EQ(diff.status, 1);
    EXPECT_EQ(diff.out, "* /: mtime nlink\n- /empty\n* /large: content\n+ /new\n* /setuid: mode\n");
}

TEST_F(DumpForms, DiffOfHardLinks)
{
    const auto link = [&](const std::string &first, const std::string &second, const std::string &name) {
        fs::remove_all(source());
        for (const std::string file : {"a", "d"})
            add_file(file, "same");
        fs::create_hard_link(source() / "a", source() / first);
        fs::create_hard_link(source() / "d", source() / second);
        for (const std::string path : {"a", "d", "."})
            set_mtime(path, 1, 0);
        make({}, name);
    };
    link("b", "c", "image");
    link("c", "b", "other");
    const ToolResult diff = dump({"--diff", image("other")});
    EXPECT_EQ(diff.status, 1);
    EXPECT_EQ(diff.out, "* /b: links\n* /d: links\n");
    link("b", "c", "other");
    EXPECT_EQ(dump({"--diff", image("other")}).out, "");
}

TEST_F(DumpForms, Troubles)
{
    EXPECT_EQ(dump({"--diff", root() / "nothing"}).status, 2);
    EXPECT_EQ(dump({"--cat", "nothing"}).status, 1);
    for (const std::string option : {"--diff", "--extract", "--ls", "--cat", "--stat"}) {
        const ToolResult result = dump({option, ""});
        EXPECT_EQ(result.status, 2);
        EXPECT_NE(result.err.find("expected a value for " + option + ", got an empty one"), std::string::npos)
            << result.err;
    }
}

TEST_F(DumpForms, Layout)
{
    const auto layout = nlohmann::json::parse(dump({"--layout", "--json"}).out);
    const ImageReader reader(image());
    EXPECT_EQ(layout["superblock"].get<std::uint64_t>() + layout["metadata"].get<std::uint64_t>() +
                  layout["data"].get<std::uint64_t>() + layout["padding"].get<std::uint64_t>(),
              reader.image().size);
    EXPECT_EQ(layout["shared"], 12288);
    EXPECT_EQ(layout["huge_page_bytes"], 4 << 20);
    ASSERT_EQ(layout["large_files"].size(), 2u);
    EXPECT_EQ(layout["large_files"][1]["path"], "/large");
    EXPECT_EQ(layout["large_files"][1]["huge_page_bytes"], 4 << 20);
    EXPECT_NE(dump({"--layout"}).out.find("/large"), std::string::npos);
    EXPECT_EQ(dump({"--layout", "--text"}).status, 2);
}

} // namespace

} // namespace daxfs::test
