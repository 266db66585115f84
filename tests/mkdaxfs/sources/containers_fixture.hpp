// SPDX-License-Identifier: Apache-2.0
// Container images made on the spot, and what mkdaxfs makes of them.
#pragma once

#include "container_image.hpp"
#include "sources_fixture.hpp"

namespace daxfs::test {

class Containers : public Sources {
protected:
    // Tar a folder as the blob of a layer; what is in it is removed.
    std::string add_layer(const fs::path &layout) const
    {
        const fs::path blobs = layout / "blobs/sha256";
        fs::create_directories(blobs);
        tar("layer.tar", pax + " -z");
        const std::string sha256 = shell("sha256sum " + (root() / "layer.tar").string()).substr(0, 64);
        fs::rename(root() / "layer.tar", blobs / sha256);
        fs::remove_all(source());
        fs::create_directory(source());
        return sha256;
    }

    // One archive of single files, in this order, with the names they are to have.
    std::string add_layer_of(const std::vector<std::pair<std::string, std::string>> &files) const
    {
        std::string list;
        for (int i = 0; const auto &[name, content] : files) {
            const std::string number = std::to_string(++i);
            std::ofstream(root() / number) << content;
            list += " --transform 's,^" + number + "$," + name + ",' " + number;
        }
        fs::create_directories(layout_ / "blobs/sha256");
        EXPECT_EQ(shell("cd " + root().string() + " && tar -cf layer.tar" + list), "");
        const std::string sha256 = shell("sha256sum " + (root() / "layer.tar").string()).substr(0, 64);
        fs::rename(root() / "layer.tar", layout_ / "blobs/sha256" / sha256);
        return sha256;
    }

    std::string add_blob(const fs::path &layout, const std::string &text) const
    {
        std::ofstream(root() / "blob") << text;
        const std::string sha256 = shell("sha256sum " + (root() / "blob").string()).substr(0, 64);
        fs::rename(root() / "blob", layout / "blobs/sha256" / sha256);
        return sha256;
    }

    void three_layers()
    {
        add_file("etc/kept", "kept");
        add_file("etc/removed", "removed");
        add_file("opaque/lower", "l");
        add_file("opaque/sub/lower", "l");
        add_file("tree/x/y", "y");
        add_file("replaced", "a file");
        first_ = add_layer(layout_);
        add_file("etc/.wh.removed", "");
        add_file("opaque/.wh..wh..opq", "");
        add_file("opaque/upper", "u");
        add_file("opaque/sub/upper", "u");
        add_file(".wh.tree", "");
        add_file("replaced/inside", "now a directory");
        second_ = add_layer(layout_);
        add_file("tree/new", "n");
        add_file("tree/same", "kept");
        fs::create_symlink("etc", source() / "to-etc");
        third_ = add_layer(layout_);
        write_index({first_, second_, third_});
    }

    void write_index(const std::vector<std::string> &layers)
    {
        std::string list;
        for (const std::string &sha256 : layers)
            list += (list.empty() ? "" : ", ") + descriptor(sha256);
        const std::string manifest = add_blob(layout_, "{\"layers\": [" + list + "]}");
        std::ofstream(layout_ / "oci-layout") << "{\"imageLayoutVersion\": \"1.0.0\"}";
        std::ofstream(layout_ / "index.json")
            << "{\"manifests\": [{\"digest\": \"sha256:" << manifest
            << "\", \"annotations\": {\"org.opencontainers.image.ref.name\": \"v1\"}}]}";
    }

    // A manifest of one layer.
    std::string add_blob_of(const std::string &layer) const
    {
        return add_blob(layout_, "{\"layers\": [" + descriptor(layer) + "]}");
    }

    static std::string descriptor(const std::string &sha256)
    {
        return "{\"digest\": \"sha256:" + sha256 + "\"}";
    }

    void expect_three_layers()
    {
        const ImageReader reader(image("other"));
        EXPECT_EQ(content_of(reader, "etc/kept"), "kept");
        EXPECT_FALSE(reader.find("etc/removed"));
        EXPECT_FALSE(reader.find("etc/.wh.removed"));
        EXPECT_FALSE(reader.find("opaque/lower"));
        EXPECT_FALSE(reader.find("opaque/sub/lower"));
        EXPECT_TRUE(reader.find("opaque/sub/upper"));
        EXPECT_TRUE(reader.find("opaque/upper"));
        EXPECT_FALSE(reader.find("tree/x"));
        EXPECT_EQ(content_of(reader, "tree/new"), "n");
        EXPECT_EQ(content_of(reader, "tree/same"), "kept");
        EXPECT_EQ(attr_of(reader, "tree/same").node.data, attr_of(reader, "etc/kept").node.data)
            << "equal files of two layers are stored once where they are merged";
        EXPECT_EQ(content_of(reader, "replaced/inside"), "now a directory");
        EXPECT_EQ(reader.target(attr_of(reader, "to-etc").node), "etc");
    }

    fs::path layout_ = "";
    std::string first_;
    std::string second_;
    std::string third_;

    void SetUp() override
    {
        TreeTest::SetUp();
        layout_ = root() / "layout";
    }
};

} // namespace daxfs::test
