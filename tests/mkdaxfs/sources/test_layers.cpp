// SPDX-License-Identifier: Apache-2.0
// Container images by the layer, damaged ones, and those that other tools make.
#include <fstream>
#include <set>

#include <sys/stat.h>
#include <unistd.h>

#include "compare_tree.hpp"
#include "container_image.hpp"
#include "containers_fixture.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

TEST_F(Containers, AnImageForEachLayer)
{
    three_layers();
    const ToolResult result = run({"--layers", "--oci", layout_});
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader lowest(root() / "other.1");
    EXPECT_EQ(content_of(lowest, "etc/removed"), "removed");
    EXPECT_EQ(content_of(lowest, "replaced"), "a file");
    const ImageReader middle(root() / "other.2");
    const daxfs_attr whiteout = attr_of(middle, "etc/removed");
    EXPECT_EQ(whiteout.mode & S_IFMT, unsigned{S_IFCHR});
    EXPECT_EQ(whiteout.rdev_major + whiteout.rdev_minor, 0u);
    EXPECT_EQ(attr_of(middle, "tree").mode & S_IFMT, unsigned{S_IFCHR});
    const auto xattrs = middle.xattrs(attr_of(middle, "opaque").node);
    ASSERT_EQ(xattrs.size(), 1u);
    EXPECT_EQ(join_xattr_name(xattrs[0].index, xattrs[0].name) + "=" + xattrs[0].value,
              "trusted.overlay.opaque=y");
    EXPECT_FALSE(middle.find("opaque/.wh..wh..opq"));
    const ImageReader highest(root() / "other.3");
    EXPECT_EQ(content_of(highest, "tree/new"), "n");
    EXPECT_FALSE(fs::exists(root() / "other.4"));
    EXPECT_EQ(run({"--layers", source()}).status, 2);
}

// What a layer says nothing of looks as it does below; whiteouts hide what is below, never what the
// layer has itself, in whatever order they come.
TEST_F(Containers, LayersOverOthers)
{
    add_file("etc/a", "a");
    add_file("both/old", "o");
    add_file("gone/x", "x");
    add_file("dir/old", "o");
    add_file("lost/sub/old", "o");
    add_file("usr/lib/a", "a");
    fs::create_symlink("usr/lib", source() / "lib");
    for (const char *name : {"etc", "both", "lost", "lost/sub", "usr/lib"}) {
        ASSERT_EQ(chmod((source() / name).c_str(), 0701), 0);
        set_mtime(name, 1234, 5);
    }
    chmod(source().c_str(), 0711);
    set_mtime(".", 4321, 0);
    first_ = add_layer(layout_);

    second_ = add_layer_of({{"etc/b", "b"},
                            {"gone", "now a file"},
                            {"gone/.wh.x", ""},
                            {"both/.wh..wh..opq", ""},
                            {"new", "n"},
                            {".wh.new", ""},
                            {"dir/f", "f"},
                            {".wh.dir", ""},
                            {".wh.lost", ""},
                            {"lib/sub/f", "s"},
                            {"lib/.wh.a", ""},
                            {"both/.wh.old", ""},
                            {"both/sub/.wh.old", ""},
                            {"fresh/f", "f"},
                            {"fresh/.wh.x", ""},
                            {"nowhere/.wh.x", ""},
                            {"lost/sub/.wh..wh..opq", ""},
                            {"never/.wh..wh..opq", ""},
                            {"both/deep/.wh..wh..opq", ""}});
    add_file("lost/sub/new", "n");
    ASSERT_EQ(shell("cd " + source().string() + " && tar -cf ../layer.tar lost/sub/new"), "");
    third_ = shell("sha256sum " + (root() / "layer.tar").string()).substr(0, 64);
    fs::rename(root() / "layer.tar", layout_ / "blobs/sha256" / third_);
    write_index({first_, second_, third_});

    const ToolResult result = run({"--layers", "--oci", layout_});
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(root() / "other.2");
    const auto is_opaque = [&](const char *path) {
        const auto xattrs = reader.xattrs(attr_of(reader, path).node);
        return xattrs.size() == 1 && xattrs[0].name == "overlay.opaque";
    };
    for (const char *name : {"etc", "both", "usr/lib"}) {
        const daxfs_attr attr = attr_of(reader, name);
        EXPECT_EQ(attr.mode, S_IFDIR | 0701u) << name;
        EXPECT_EQ(attr.mtime_sec, 1234) << name;
        EXPECT_EQ(attr.mtime_nsec, 5u) << name;
    }
    EXPECT_EQ(attr_of(reader, "").mode, S_IFDIR | 0711u);
    EXPECT_EQ(attr_of(reader, "").mtime_sec, 4321);
    EXPECT_EQ(content_of(reader, "etc/b"), "b");
    EXPECT_FALSE(is_opaque("etc"));
    EXPECT_TRUE(is_opaque("both"));
    EXPECT_EQ(content_of(reader, "gone"), "now a file");
    EXPECT_EQ(content_of(reader, "new"), "n");
    EXPECT_TRUE(is_opaque("dir"));
    EXPECT_EQ(attr_of(reader, "lost").mode, unsigned{S_IFCHR});
    // Through the lower layer's symlink, which stays.
    EXPECT_FALSE(reader.find("lib"));
    EXPECT_EQ(content_of(reader, "usr/lib/sub/f"), "s");
    EXPECT_EQ(attr_of(reader, "usr/lib/a").mode, unsigned{S_IFCHR});
    // Where nothing shows through, overlayfs would show the whiteout itself.
    for (const char *path : {"both/old", "both/sub", "fresh/x", "nowhere", "never", "both/deep"})
        EXPECT_FALSE(reader.find(path)) << path;
    EXPECT_TRUE(reader.find("fresh/f"));
    // Made anew over the whiteout: it looks like nothing below.
    {
        const ImageReader highest(root() / "other.3");
        EXPECT_EQ(attr_of(highest, "lost/sub").mode, S_IFDIR | 0755u);
        EXPECT_EQ(attr_of(highest, "lost").mtime_sec, 0);
    }
    // What marks a directory as opaque is no attribute of the tree's.
    ASSERT_EQ(run({"--layers", "--oci", layout_, "--xattr-exclude", "*"}).status, 0);
    const ImageReader bare(root() / "other.2");
    EXPECT_EQ(bare.xattrs(attr_of(bare, "both").node).size(), 1u);
}

// What a whiteout or an opaque directory further up hides needs no whiteout of its own, which overlayfs would
// show; in whatever order they come.
TEST_F(Containers, WhiteoutsBelowWhatIsHidden)
{
    add_file("a/s/z", "z");
    ASSERT_EQ(chmod((source() / "a").c_str(), 0701), 0);
    first_ = add_layer(layout_);
    const auto second = [&](const std::vector<std::pair<std::string, std::string>> &files) {
        write_index({first_, add_layer_of(files)});
        const ToolResult result = run({"--layers", "--oci", layout_});
        EXPECT_EQ(result.status, 0) << result.err;
        return ImageReader(root() / "other.2");
    };
    const auto is_opaque = [](const ImageReader &reader, const char *path) {
        return reader.xattrs(attr_of(reader, path).node).size() == 1;
    };
    for (const bool opaque_first : {true, false}) {
        const ImageReader reader = opaque_first ? second({{"a/.wh..wh..opq", ""}, {"a/s/.wh.z", ""}})
                                                : second({{"a/s/.wh.z", ""}, {"a/.wh..wh..opq", ""}});
        EXPECT_TRUE(is_opaque(reader, "a"));
        EXPECT_FALSE(reader.find("a/s"));
        EXPECT_EQ(attr_of(reader, "a").mode, S_IFDIR | 0701u) << "it is still the lower layer's";
    }
    for (const char *slashes : {"a/", "./a//"}) {
        const ImageReader reader = second({{"a/s/.wh.z", ""}, {slashes + std::string(".wh.s"), ""}});
        EXPECT_EQ(attr_of(reader, "a/s").mode, unsigned{S_IFCHR});
    }
    {
        const ImageReader reader = second({{"a/s/q", "q"}, {"a/s/.wh.z", ""}, {"a/.wh.s", ""}});
        EXPECT_TRUE(is_opaque(reader, "a/s"));
        EXPECT_FALSE(reader.find("a/s/z"));
        EXPECT_EQ(content_of(reader, "a/s/q"), "q");
    }
    {
        const ImageReader reader = second({{".wh.a", ""}, {"a/new", "n"}});
        EXPECT_TRUE(is_opaque(reader, "a"));
        EXPECT_EQ(attr_of(reader, "a").mode, S_IFDIR | 0755u) << "the lower layer's is gone";
        ASSERT_EQ(run({"--oci", layout_}).status, 0);
        EXPECT_EQ(attr_of(ImageReader(image("other")), "a").mode, S_IFDIR | 0755u);
    }
}

// AUFS kept files for itself in its layers.
TEST_F(Containers, WhatUnionFilesystemsKeepForThemselves)
{
    add_file("kept/.wh..wh.plnk/1.2", "x");
    add_file(".wh..wh.aufs", "");
    fs::create_directory(source() / ".wh..wh.orph");
    add_file("kept/file", "f");
    first_ = add_layer(layout_);
    write_index({first_});
    ASSERT_EQ(run({"--oci", layout_}).status, 0);
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "kept/file"), "f");
    EXPECT_EQ(reader.image().inode_count, 3u);
    fs::remove(image("other"));
    for (const char *name : {"a/.wh.", "a/.wh..", "a/.wh..."}) {
        write_index({add_layer_of({{name, ""}})});
        expect_error(run({"--oci", layout_}), std::string("expected a whiteout of a name, got /") + name);
    }
}

TEST_F(Containers, WhiteoutsAreNotExcludedByTheirNames)
{
    three_layers();
    for (const char *glob : {".*", ".wh.*", "*"}) {
        ASSERT_EQ(run({"--oci", layout_, "-x", glob}).status, 0);
        EXPECT_FALSE(ImageReader(image("other")).find("etc/removed")) << glob;
    }
}

TEST_F(Containers, LayersAreMadeAllOrNone)
{
    three_layers();
    std::ofstream(root() / "other.1") << "what was there";
    std::ofstream(layout_ / "blobs/sha256" / third_) << "no archive";
    const ToolResult result = run({"--layers", "--oci", layout_});
    EXPECT_EQ(result.status, 1);
    EXPECT_TRUE(result.err.starts_with("mkdaxfs: layer 3: ")) << result.err;
    EXPECT_EQ(read_file(root() / "other.1"), "what was there");
    std::set<std::string> left;
    for (const auto &entry : fs::directory_iterator(root()))
        left.insert(entry.path().filename());
    EXPECT_FALSE(left.contains("other.2"));
    for (const auto &name : left)
        EXPECT_FALSE(name.starts_with(".other")) << name;
}

TEST_F(Containers, LayersOfDockerSave)
{
    three_layers();
    fs::remove(layout_ / "index.json");
    std::ofstream(layout_ / "manifest.json") << "[{\"RepoTags\": [\"name:v1\"], \"Layers\": [\"blobs/sha256/"
                                             << first_ << "\", \"link/layer.tar\", "
                                             << "\"blobs/sha256/" << third_ << "\"]}]";
    fs::create_directory(layout_ / "link");
    fs::create_symlink("../blobs/sha256/" + second_, layout_ / "link/layer.tar");
    ASSERT_EQ(shell("tar -C " + layout_.string() + " -cf " + (root() / "save.tar").string() +
                    " manifest.json link blobs"),
              "");
    for (const std::string &where : {layout_.string(), (root() / "save.tar").string() + ":v1"}) {
        const ToolResult result = run({"--oci", where});
        ASSERT_EQ(result.status, 0) << result.err;
        expect_three_layers();
    }
    // What is in the layers is compared with what the configuration says of it, compressed or not.
    const auto diff_id = [&](const std::string &layer) {
        return "\"sha256:" +
               shell("gzip -dc <" + (layout_ / "blobs/sha256" / layer).string() + " | sha256sum")
                   .substr(0, 64) +
               "\"";
    };
    const auto run_with = [&](const std::string &ids) {
        std::ofstream(layout_ / "config.json") << "{\"rootfs\": {\"diff_ids\": [" << ids << "]}}";
        std::ofstream(layout_ / "manifest.json")
            << "[{\"Config\": \"config.json\", \"Layers\": [\"blobs/sha256/" << first_
            << "\", \"link/layer.tar\"]}]";
        fs::remove(image("other"));
        return run({"--oci", layout_});
    };
    EXPECT_EQ(run_with(diff_id(first_) + ", " + diff_id(second_)).status, 0);
    expect_error(run_with(diff_id(first_) + ", " + diff_id(third_)),
                 "link/layer.tar: expected the SHA-256 " + diff_id(third_).substr(8, 64));
    expect_error(run_with(diff_id(first_)), "config.json: expected 2 diff_ids, one for each layer, got 1");
    std::ofstream(layout_ / "manifest.json") << "[{\"Layers\": [\"../secret.tar\"]}]";
    fs::remove(image("other"));
    expect_error(run({"--oci", layout_}), "expected a file inside the image");
}

TEST_F(Containers, DamagedImages)
{
    three_layers();
    const fs::path blob = layout_ / "blobs/sha256" / third_;
    const std::string bytes = read_file(blob);
    // Behind the archive's end, where only the digest can notice it.
    std::ofstream(blob, std::ios::binary | std::ios::app) << '\0';
    expect_error(run({"--oci", layout_}), "expected the SHA-256 " + third_);
    // Also where reading ends, with one block of zeros, as the bytes do.
    const std::string layer = add_layer_of({{"file", "x"}});
    write_index({layer});
    EXPECT_EQ(run({"--oci", layout_}).status, 0);
    fs::remove(image("other"));
    const std::string archive = (layout_ / "blobs/sha256" / layer).string();
    for (const std::string size : {"1024", "1536", "2048"}) {
        for (const std::string compress : {"cat", "gzip", "xz", "zstd -q"}) {
            shell("head -c " + size + " " + archive + " | " + compress + " >" + (root() / "cut").string());
            fs::rename(archive, root() / "whole");
            fs::rename(root() / "cut", archive);
            expect_error(run({"--oci", layout_}), "expected the SHA-256 " + layer);
            fs::rename(root() / "whole", archive);
        }
    }
    write_index({first_, second_, third_});
    // And where the archive cannot be read any more.
    std::ofstream(blob, std::ios::binary) << "no archive" << bytes.substr(10);
    expect_error(run({"--oci", layout_}), "expected the SHA-256 " + third_);
    fs::remove(blob);
    expect_error(run({"--oci", layout_}), "No such file");
    std::ofstream(layout_ / "index.json") << "{\"manifests\": [{\"digest\": \"sha256:../../x\"}]}";
    expect_error(run({"--oci", layout_}), "expected a sha256 digest");
    std::ofstream(layout_ / "index.json") << "[1, 2";
    expect_error(run({"--oci", layout_}), "expected JSON");
    const auto manifest = [&](const std::string &text) {
        std::ofstream(layout_ / "index.json")
            << "{\"manifests\": [" << descriptor(add_blob(layout_, text)) << "]}";
    };
    manifest(R"({"layers": {"a": 1}})");
    expect_error(run({"--oci", layout_}), "expected a list as layers, got something else");
    manifest(R"({"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}]})");
    expect_error(run({"--oci", layout_}), "expected a layer that can be read, got one of type ");
    // One without layers is an empty tree, but not a file for each of them.
    manifest(R"({"layers": null})");
    EXPECT_EQ(run({"--oci", layout_}).status, 0);
    fs::remove(image("other"));
    expect_error(run({"--layers", "--oci", layout_}), "expected an image with layers, it has none");
    fs::remove(layout_ / "index.json");
    for (const std::string image : {R"([{"Layers": "layer.tar"}])", R"([{"Layer": []}])"}) {
        std::ofstream(layout_ / "manifest.json") << image;
        expect_error(run({"--oci", layout_}), image.find("Layers") != image.npos
                                                  ? "expected a list as Layers"
                                                  : "expected an image with Layers");
    }
    fs::remove(layout_ / "manifest.json");
    expect_error(run({"--oci", layout_}), "neither is there");
}

// An image that another tool made and unpacked.
TEST_F(Containers, MadeByUmoci)
{
    if (!have_program("umoci"))
        GTEST_SKIP() << "umoci is not installed";
    const ContainerImage made = make_container_image(root());
    std::vector<std::string> args{"--oci", made.layout + ":v3"};
    args.insert(args.end(), made.owners.begin(), made.owners.end());
    const ToolResult result = run(args);
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "whole/new"), "new\n");
    expect_same_tree(made.unpacked, reader);
}

// The same image in skopeo's archives gives the same bytes.
TEST_F(Containers, MadeBySkopeo)
{
    if (!have_program("umoci") || !have_program("skopeo"))
        GTEST_SKIP() << "umoci or skopeo is not installed";
    const ContainerImage made = make_container_image(root());
    ASSERT_EQ(run({"--oci", made.layout + ":v3"}).status, 0);
    fs::rename(image("other"), image());
    for (const std::string form : {"docker-archive", "oci-archive"}) {
        const std::string archive = container_archive(made, form);
        for (const std::string tag : {"", ":v3"})
            expect_same_image({"--oci", archive + tag});
        fs::remove(image("other"));
        expect_error(run({"--oci", archive + ":v9"}), "v9");
    }
}

} // namespace

} // namespace daxfs::test
