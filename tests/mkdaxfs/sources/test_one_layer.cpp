// SPDX-License-Identifier: Apache-2.0
// One layer's archive as an image for overlayfs: its whiteouts, and what overlayfs would take for its own.
#include <ctime>

#include <sys/stat.h>

#include "shell.hpp"
#include "sources_fixture.hpp"
#include "tar_bytes.hpp"
#include "tree_builder.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

class OneLayer : public Sources {
protected:
    ToolResult run_layer(const std::string &bytes, const std::vector<std::string> &more = {}) const
    {
        fs::remove(image("other"));
        std::vector<std::string> args = {"-q", "--layer", "-"};
        args.insert(args.end(), more.begin(), more.end());
        return run(args, bytes + tar_end());
    }
    // Full names and values, in order.
    std::string xattrs_of(const std::string &path) const
    {
        const ImageReader reader(image("other"));
        std::string all;
        for (const Xattr &one : reader.xattrs(attr_of(reader, path).node))
            all += join_xattr_name(one.index, one.name) + "=" + one.value + ";";
        return all;
    }
};

TEST_F(OneLayer, WhiteoutsAreThoseOfOverlayfs)
{
    const ToolResult result =
        run_layer(tar_entry('5', "dir/") + tar_entry('0', "dir/.wh.gone") + tar_entry('0', "dir/.wh.both") +
                  tar_entry('0', "dir/both", "b") + tar_entry('0', ".wh.top") + tar_entry('5', "opaque/") +
                  tar_entry('0', "opaque/new", "n") + tar_entry('0', "opaque/.wh..wh..opq") +
                  tar_entry('0', "opaque/.wh.inside") + tar_entry('0', ".wh..wh.plnk/1.2"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    const ImageReader reader(image("other"));
    for (const char *path : {"dir/gone", "top"}) {
        const daxfs_attr attr = attr_of(reader, path);
        EXPECT_EQ(attr.mode, unsigned{S_IFCHR}) << path;
        EXPECT_EQ(attr.rdev_major + attr.rdev_minor, 0u);
    }
    EXPECT_EQ(content_of(reader, "dir/both"), "b");
    EXPECT_EQ(content_of(reader, "opaque/new"), "n");
    EXPECT_FALSE(reader.find("opaque/inside")) << "an opaque directory hides it already";
    EXPECT_FALSE(reader.find("dir/.wh.gone"));
    EXPECT_EQ(xattrs_of("opaque"), "trusted.overlay.opaque=y;");
    EXPECT_EQ(xattrs_of("dir"), "");
    EXPECT_EQ(reader.image().inode_count, 7u);
    // The mark of an opaque directory is not the tree's own.
    ASSERT_EQ(
        run_layer(tar_entry('5', "o/") + tar_entry('0', "o/.wh..wh..opq"), {"--xattr-exclude", "*"}).status,
        0);
    EXPECT_EQ(xattrs_of("o"), "trusted.overlay.opaque=y;");
}

// As overlayfs(5) of Linux 6.7 has it for an overlayfs inside another.
TEST_F(OneLayer, WhatOverlayfsWouldTakeForItsOwnIsEscaped)
{
    const ToolResult result = run_layer(
        pax_header(pax_record("SCHILY.xattr.trusted.overlay.opaque", "y") +
                   pax_record("SCHILY.xattr.trusted.overlay.overlay.redirect", "/x") +
                   pax_record("SCHILY.xattr.trusted.overlayer", "o") +
                   pax_record("SCHILY.xattr.user.overlay.origin", "u")) +
        tar_entry('5', "dir/") + tar_entry('3', "dir/white") + tar_entry('1', "dir/linked", "", "dir/white") +
        tar_entry('5', "plain/") + tar_entry('1', "plain/linked", "", "dir/white") +
        tar_entry('5', "other/") + tar_entry('0', "other/f") + tar_entry('1', "other/g", "", "other/f"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(xattrs_of("dir"), "user.overlay.origin=u;trusted.overlay.overlay.opaque=y;"
                                "trusted.overlay.overlay.overlay.redirect=/x;trusted.overlayer=o;");
    const ImageReader reader(image("other"));
    EXPECT_EQ(attr_of(reader, "dir/white").mode, S_IFREG | 0644u);
    EXPECT_EQ(*reader.find("dir/white"), *reader.find("plain/linked"));
    EXPECT_EQ(xattrs_of("dir/white"), "trusted.overlay.overlay.whiteout=;");
    EXPECT_EQ(xattrs_of("plain"), "trusted.overlay.overlay.opaque=x;");
    EXPECT_EQ(xattrs_of("other"), "");
    // In an archive that is no layer, they are what they are.
    fs::remove(image("other"));
    ASSERT_EQ(run({"--tar", "-"}, pax_header(pax_record("SCHILY.xattr.trusted.overlay.opaque", "y")) +
                                      tar_entry('5', "dir/") + tar_entry('3', "dir/white") + tar_end())
                  .status,
              0);
    EXPECT_EQ(xattrs_of("dir"), "trusted.overlay.opaque=y;");
    EXPECT_EQ(attr_of(ImageReader(image("other")), "dir/white").mode, S_IFCHR | 0644u);
}

TEST_F(OneLayer, WhatCannotBeKnownIsSaid)
{
    const ToolResult result = run_layer(tar_entry('0', "a/b/f") + tar_entry('0', "c/.wh.x"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err,
              "mkdaxfs: warning: -: 3 directories are led through but not described, so overlayfs will "
              "show root's, mode 755, of time 0; the first: /a\n");
    expect_error(run_layer(tar_entry('1', "l", "", "below")),
                 "hard link /l to /below: that is not in this layer, make one image of all (--oci)");
    // Nothing else tells whether it was cut, or what follows it.
    const std::string layer = tar_entry('0', "f");
    expect_error(run({"--layer", "-"}, layer), "expected blocks of zeros at its end");
    expect_error(run({"--layer", "-"}, ""), "expected an archive, got no bytes");
    expect_error(run({"--layer", "-"}, layer + tar_end() + layer), "expected nothing after its end");
    EXPECT_EQ(run({"--layer", "-", "--tar", "-"}).status, 2);
    EXPECT_EQ(run({"--layer", ""}).status, 2);
}

// Seconds of the CPU, which other load does not change; what grows with the square takes many times the
// limit.
template <typename Work> void expect_short(const Work &work)
{
    const std::clock_t begin = std::clock();
    work();
    EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 4.0);
}

TEST(ManyWhiteouts, OfOneDirectory)
{
    TreeBuilder builder;
    Node file;
    file.mode = S_IFREG;
    for (int i = 0; i < 50000; ++i)
        builder.put(fmt::format("d/{}", i), file);
    builder.begin_layer();
    for (int i = 0; i < 50000; ++i)
        builder.put(fmt::format("d/new{}", i), file);
    expect_short([&] {
        for (int i = 0; i < 100000; ++i)
            builder.clear("d");
    });
    EXPECT_FALSE(builder.find("d/1"));
    EXPECT_TRUE(builder.find("d/new1"));
    builder.begin_layer();
    builder.clear("d");
    EXPECT_FALSE(builder.find("d/new1"));
}

TEST(ManyWhiteouts, FarBelowTheRoot)
{
    TreeBuilder builder;
    builder.lies_over_unknown();
    std::string deep;
    for (int i = 0; i < 700; ++i)
        deep += "a/";
    std::vector<std::string> paths;
    for (int i = 0; i < 700; ++i)
        paths.push_back(deep + fmt::format("{}/x", i));
    expect_short([&] { builder.hide(paths, {}); });
    EXPECT_TRUE(builder.find(paths.back()));
}

} // namespace

} // namespace daxfs::test
