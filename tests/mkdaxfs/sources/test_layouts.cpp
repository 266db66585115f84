// SPDX-License-Identifier: Apache-2.0
// What a container image states of itself is checked wherever it is stated; layouts of any shape that skopeo
// copies.
#include <fstream>

#include "container_image.hpp"
#include "containers_fixture.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

class Layouts : public Containers {
protected:
    // A blob's descriptor with all that it may state.
    std::string whole(const std::string &sha256, const std::string &type, long more = 0) const
    {
        return fmt::format(
            "{{\"mediaType\": \"application/vnd.oci.image.{}\", \"digest\": \"sha256:{}\", \"size\": {}}}",
            type, sha256, static_cast<long>(fs::file_size(layout_ / "blobs/sha256" / sha256)) + more);
    }
    std::string sum_uncompressed(const std::string &layer) const
    {
        return shell("gzip -dcf <" + (layout_ / "blobs/sha256" / layer).string() + " | sha256sum")
            .substr(0, 64);
    }
    std::string config_of(const std::string &layer, const std::string &architecture = "amd64") const
    {
        return add_blob(layout_, "{\"os\": \"linux\", \"architecture\": \"" + architecture +
                                     "\", \"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"sha256:" +
                                     sum_uncompressed(layer) + "\"]}}");
    }
    std::string manifest_of(const std::string &config, const std::string &layer_descriptor) const
    {
        return add_blob(layout_, "{\"schemaVersion\": 2, \"config\": " + config + ", \"layers\": [" +
                                     layer_descriptor + "]}");
    }
    // An image of one file that has this name.
    std::string image_with(const std::string &file, const std::string &architecture = "amd64")
    {
        add_file(file, file);
        const std::string layer = add_layer(layout_);
        return manifest_of(whole(config_of(layer, architecture), "config.v1+json"),
                           whole(layer, "layer.v1.tar+gzip"));
    }
    void write_top(const std::string &manifests) const
    {
        std::ofstream(layout_ / "index.json")
            << "{\"schemaVersion\": 2, \"manifests\": [" << manifests << "]}";
    }
    std::string index_of(const std::string &manifests) const
    {
        return add_blob(layout_, "{\"schemaVersion\": 2, \"manifests\": [" + manifests + "]}");
    }
    ToolResult run_layout(const std::string &tag = "", const std::vector<std::string> &more = {}) const
    {
        fs::remove(image("other"));
        std::vector<std::string> args = {"--oci", layout_.string() + tag};
        args.insert(args.end(), more.begin(), more.end());
        return run(args);
    }
};

TEST_F(Layouts, EveryDigestAndSizeIsChecked)
{
    add_file("file", "x");
    const std::string layer = add_layer(layout_);
    const std::string config = config_of(layer);
    const auto top_of = [&](const std::string &config_descriptor, const std::string &layer_descriptor,
                            long more = 0) {
        write_top(whole(manifest_of(config_descriptor, layer_descriptor), "manifest.v1+json", more));
    };
    const std::string config_type = "config.v1+json";
    const std::string layer_type = "layer.v1.tar+gzip";
    top_of(whole(config, config_type), whole(layer, layer_type));
    ASSERT_EQ(run_layout().status, 0) << run_layout().err;

    top_of(whole(config, config_type, 1), whole(layer, layer_type));
    expect_error(run_layout(), "layout configuration blobs/sha256/" + config + ": expected ");
    expect_error(run_layout(), " bytes, as its descriptor says, got ");
    top_of(whole(config, config_type), whole(layer, layer_type, -1));
    expect_error(run_layout(), "layout layer 1, blobs/sha256/" + layer + ": expected ");
    top_of(whole(config, config_type), whole(layer, layer_type), 7);
    expect_error(run_layout(), "layout manifest blobs/sha256/");
    expect_error(run_layout(), " bytes, as its descriptor says, got ");
    top_of(whole(config, config_type), "{\"digest\": \"sha256:" + layer + "\", \"size\": \"12\"}");
    expect_error(run_layout(), "layer 1: expected a number of bytes as size, got \"12\"");

    // The configuration states digests, too: what the layer is uncompressed.
    const std::string other = add_layer_of({{"other", "o"}});
    top_of(whole(config, config_type), whole(other, "layer.v1.tar"));
    expect_error(run_layout(), "layout layer 1, blobs/sha256/" + other + ": expected the SHA-256 " +
                                   sum_uncompressed(layer) + ", as diff_ids of the configuration says, got " +
                                   other);
    const std::string none = add_blob(layout_, R"({"rootfs": {"diff_ids": []}})");
    top_of(whole(none, config_type), whole(layer, layer_type));
    expect_error(run_layout(),
                 "layout configuration sha256:" + none + ": expected 1 diff_ids, one for each layer, got 0");
    const std::string odd = add_blob(layout_, R"({"rootfs": {"diff_ids": ["md5:00"]}})");
    top_of(whole(odd, config_type), whole(layer, layer_type));
    expect_error(run_layout(), "diff_id 1: expected a sha256 digest (or sha384 or sha512), got md5:00");

    // Each kind of object, damaged with its size kept.
    top_of(whole(config, config_type), whole(layer, layer_type));
    for (const auto &[sha256, kind] : {std::pair(config, "configuration"), std::pair(layer, "layer 1,")}) {
        const fs::path blob = layout_ / "blobs/sha256" / sha256;
        const std::string bytes = read_file(blob);
        std::string bad = bytes;
        bad[bad.size() / 2] ^= 1;
        std::ofstream(blob, std::ios::binary) << bad;
        expect_error(run_layout(), std::string("layout ") + kind + " blobs/sha256/" + sha256 +
                                       ": expected the SHA-256 " + sha256);
        std::ofstream(blob, std::ios::binary) << bytes;
    }
    // Longer digests have folders of their own.
    fs::create_directory(layout_ / "blobs/sha512");
    const std::string sha512 =
        shell("sha512sum " + (layout_ / "blobs/sha256" / layer).string()).substr(0, 128);
    fs::copy_file(layout_ / "blobs/sha256" / layer, layout_ / "blobs/sha512" / sha512);
    top_of(whole(config, config_type), "{\"digest\": \"sha512:" + sha512 + "\"}");
    EXPECT_EQ(run_layout().status, 0) << run_layout().err;
    std::ofstream(layout_ / "blobs/sha512" / sha512, std::ios::app) << '\0';
    expect_error(run_layout(), "expected the SHA-512 " + sha512);
}

TEST_F(Layouts, ALayerOfNoBytes)
{
    add_file("file", "x");
    const std::string full = add_layer(layout_);
    write_index({full, add_blob(layout_, ""), full});
    ASSERT_EQ(run_layout().status, 0) << run_layout().err;
    EXPECT_TRUE(ImageReader(image("other")).find("file"));
    const ToolResult layers = run({"--layers", "--oci", layout_});
    EXPECT_EQ(layers.status, 0) << layers.err;
    EXPECT_EQ(ImageReader(root() / "other.2").image().inode_count, 1u);
}

TEST_F(Layouts, PlatformsThatOnlyConfigurationsName)
{
    const std::string amd = image_with("amd", "amd64");
    const std::string arm = image_with("arm", "arm64");
    write_top(descriptor(amd) + ", " + descriptor(arm));
    for (const std::string name : {"amd", "arm"}) {
        const ToolResult result = run_layout("", {"--platform", name + "64"});
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_TRUE(ImageReader(image("other")).find(name)) << name;
    }
#if defined(__x86_64__) || defined(__aarch64__)
    ASSERT_EQ(run_layout().status, 0) << "this machine's";
#endif
    expect_error(run_layout("", {"--platform", "riscv64"}),
                 "expected one image for riscv64, got 0; it has images for linux/amd64, linux/arm64: choose "
                 "by --platform");
    // Deep inside, some described, others not; and what is no image at all.
    const std::string signature = manifest_of(
        "{\"mediaType\": \"application/vnd.oci.empty.v1+json\", \"digest\": \"sha256:" + amd + "\"}",
        "{\"mediaType\": \"application/x-signature\", \"digest\": \"sha256:" + amd + "\"}");
    const std::string inner = index_of(descriptor(arm) + ", " + descriptor(signature));
    const std::string missing = std::string(64, 'a');
    std::string deep = index_of(
        descriptor(inner) + ", {\"digest\": \"sha256:" + amd +
        "\", \"platform\": {\"os\": \"linux\", \"architecture\": \"amd64\"}}, {\"digest\": \"sha256:" +
        missing + "\", \"platform\": {\"os\": \"linux\", \"architecture\": \"s390x\"}}");
    for (int i = 0; i < 12; ++i)
        deep = index_of(descriptor(deep) + ", " + descriptor(deep));
    write_top(descriptor(deep));
    for (const std::string name : {"amd", "arm"}) {
        const ToolResult result = run_layout("", {"--platform", "linux/" + name + "64"});
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_TRUE(ImageReader(image("other")).find(name)) << name;
    }
    expect_error(run_layout("", {"--platform", "s390x"}), missing);
    write_top(descriptor(signature));
    expect_error(run_layout(), "expected the manifest of an image, got one whose configuration is of type "
                               "application/vnd.oci.empty.v1+json");
}

TEST_F(Layouts, WhatIsRefusedByName)
{
    add_file("file", "x");
    const std::string layer = add_layer(layout_);
    const std::string config = whole(config_of(layer), "config.v1+json");
    const auto with_layer = [&](const std::string &text) {
        write_top(descriptor(manifest_of(config, text)));
    };
    with_layer("{\"mediaType\": \"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\", \"digest\": "
               "\"sha256:" +
               std::string(64, 'b') + "\", \"urls\": [\"https://example.org/layer\"]}");
    expect_error(run_layout(), "expected all layers in it, layer 1 of type "
                               "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip is not but at "
                               "https://example.org/layer: fetch it to blobs/sha256/bbb");
    with_layer("{\"mediaType\": \"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\", \"digest\": "
               "\"sha256:" +
               layer + "\"}");
    EXPECT_EQ(run_layout().status, 0) << "it is there: " << run_layout().err;
    with_layer("{\"mediaType\": \"application/vnd.in-toto+json\", \"digest\": \"sha256:" + layer + "\"}");
    expect_error(
        run_layout(),
        "expected a layer that can be read, got one of type application/vnd.in-toto+json as layer 1");
    write_top(descriptor(add_blob(layout_, R"({"schemaVersion": 1, "fsLayers": []})")));
    expect_error(run_layout(), "expected a manifest of schema version 2, got one of version 1");
    write_top(descriptor(add_blob(layout_, R"({"manifests": [], "layers": []})")));
    expect_error(run_layout(), "got what has both manifests and layers");

    const auto tagged = [&](const std::string &manifest, const std::string &name) {
        return "{\"digest\": \"sha256:" + manifest +
               "\", \"annotations\": {\"org.opencontainers.image.ref.name\": \"" + name + "\"}}";
    };
    const std::string first = image_with("a");
    const std::string second = image_with("b");
    write_top(tagged(first, "one:latest") + ", " + tagged(second, "two:latest"));
    expect_error(run_layout(),
                 "expected one image, got 2; it has the tags one:latest, two:latest: name one as ");
    // A name is no name with "latest".
    expect_error(run_layout(":one"),
                 "expected one image tagged one, got 0; it has the tags one:latest, two:latest");
    EXPECT_EQ(run_layout(":one:latest").status, 0);
    fs::remove(layout_ / "index.json");
    std::ofstream(layout_ / "manifest.json")
        << R"([{"RepoTags": ["one:latest", "one:1"], "Layers": []}, {"RepoTags": ["two:latest"], "Layers": []}])";
    expect_error(run_layout(),
                 "expected one image, got 2; it has the tags one:latest, one:1, two:latest: name one as ");
    expect_error(run_layout(":one"), "expected one image tagged one, got 0; it has the tags ");
    std::ofstream(layout_ / "manifest.json") << R"([{"Config": "c.json", "Layers": []}])";
    expect_error(run_layout(),
                 "expected the configuration c.json, which manifest.json names, it is not there");
}

// Names of files that are digests, and what LayerSources says, are checked as well.
TEST_F(Layouts, DigestsThatDockerStates)
{
    add_file("file", "x");
    const std::string layer = add_layer(layout_);
    const std::string config = config_of(layer);
    const auto manifest = [&](const std::string &more) {
        std::ofstream(layout_ / "manifest.json")
            << "[{\"Config\": \"blobs/sha256/" << config << "\", \"Layers\": [\"blobs/sha256/" << layer
            << "\"]" << more << "}]";
    };
    const auto source = [&](const std::string &digest, std::uintmax_t size) {
        manifest(
            fmt::format(", \"LayerSources\": {{\"sha256:{}\": {{\"digest\": \"sha256:{}\", \"size\": {}}}}}",
                        sum_uncompressed(layer), digest, size));
    };
    const std::uintmax_t size = fs::file_size(layout_ / "blobs/sha256" / layer);
    source(layer, size);
    ASSERT_EQ(run_layout().status, 0) << run_layout().err;
    source(layer, size + 1);
    expect_error(run_layout(), " bytes, as LayerSources in manifest.json says, got ");
    source(config, size);
    expect_error(run_layout(), "expected the SHA-256 " + config + ", as LayerSources in manifest.json says");
    manifest("");
    std::ofstream(layout_ / "blobs/sha256" / config, std::ios::app) << '\n';
    expect_error(run_layout(), "layout configuration blobs/sha256/" + config + ": expected the SHA-256 " +
                                   config + ", as its name says");
}

// Every layout that skopeo writes gives the same image, and what lies uncompressed in files is not copied.
TEST_F(Layouts, AllThatSkopeoWrites)
{
    if (!have_program("umoci") || !have_program("skopeo"))
        GTEST_SKIP() << "umoci or skopeo is not installed";
    const ContainerImage made = make_container_image(root());
    ASSERT_EQ(run({"--oci", made.layout + ":v3"}).status, 0);
    fs::rename(image("other"), image());
    const std::string copy = "skopeo --insecure-policy copy --quiet ";
    const std::string to = root().string() + "/";
    const std::string from = " oci:" + made.layout + ":v3 ";
    shell_checked(copy + from + "dir:" + to + "dir");
    shell_checked(copy + "--dest-compress-format zstd" + from + "oci:" + to + "zstd:v3");
    shell_checked(copy + "--dest-decompress" + from + "dir:" + to + "plain");
    shell_checked(copy + "--format v2s2" + from + "dir:" + to + "docker");
    for (const std::string name : {"dir", "zstd", "plain", "docker"})
        expect_same_image({"--oci", to + name});
    fs::remove(image("other"));
    expect_error(run({"--oci", to + "dir:v3"}),
                 "expected no tag, since skopeo's dir: has one image without, got v3");
}

} // namespace

} // namespace daxfs::test
