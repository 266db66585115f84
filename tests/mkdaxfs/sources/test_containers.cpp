// SPDX-License-Identifier: Apache-2.0
// Container images: which of them, merged.
#include <fstream>

#include "container_image.hpp"
#include "containers_fixture.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"
#include "uuid.hpp"

namespace daxfs::test {

namespace {

TEST_F(Containers, LayersOfAnOciLayout)
{
    three_layers();
    for (const std::string &where : {layout_.string(), layout_.string() + ":v1"}) {
        const ToolResult result = run({"--oci", where});
        ASSERT_EQ(result.status, 0) << result.err;
        expect_three_layers();
    }
    const std::string bytes = read_file(image("other"));
    ASSERT_EQ(shell("tar -C " + layout_.string() + " -cf " + (root() / "layout.tar").string() + " ."), "");
    ASSERT_EQ(run({"--oci", (root() / "layout.tar").string() + ":v1"}).status, 0);
    EXPECT_TRUE(read_file(image("other")) == bytes);
    fs::remove(image("other"));
    expect_error(run({"--oci", layout_.string() + ":v2"}),
                 "expected one image tagged v2, got 0; it has the tags v1");
}

TEST_F(Containers, ForSeveralPlatformsUnderLongNames)
{
    add_file("arm", "x");
    const std::string arm = add_blob_of(add_layer(layout_));
    add_file("riscv", "x");
    const std::string riscv = add_blob_of(add_layer(layout_));
    const auto platform = [](const std::string &manifest, const std::string &of) {
        return "{\"digest\": \"sha256:" + manifest + "\", \"platform\": {" + of +
               "}, \"annotations\": "
               "{\"org.opencontainers.image.ref.name\": \"docker.io/library/a:1\"}}";
    };
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << platform(arm, R"("os": "linux", "architecture": "arm64", "variant": "v8")")
        << ", " << platform(riscv, R"("os": "linux", "architecture": "riscv64")") << "]}";
    const std::string where = layout_.string();
    for (const std::string &name : {where, where + ":1", where + ":docker.io/library/a:1"}) {
        expect_error(run({"--oci", name}), "expected one image for ");
        expect_error(run({"--oci", name, "--platform", "s390x"}),
                     "expected one image for s390x, got 0; it has images for linux/arm64/v8, linux/riscv64: "
                     "choose by --platform");
        for (const std::string wanted : {"arm64", "linux/arm64", "linux/arm64/v8", "arm64/v8"}) {
            const ToolResult result = run({"--oci", name, "--platform", wanted});
            ASSERT_EQ(result.status, 0) << result.err;
            EXPECT_TRUE(ImageReader(image("other")).find("arm")) << wanted;
        }
        ASSERT_EQ(run({"--oci", name, "--platform", "riscv64"}).status, 0);
        EXPECT_TRUE(ImageReader(image("other")).find("riscv"));
        fs::remove(image("other"));
    }
    expect_error(run({"--oci", where + ":2"}),
                 "expected one image tagged 2, got 0; it has the tags docker.io/library/a:1");
    // The plain one is meant, where there are variants of it, too.
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": ["
        << platform(arm, R"("os": "linux", "architecture": "riscv64", "variant": "v3")") << ", "
        << platform(riscv, R"("os": "linux", "architecture": "riscv64")") << ", "
        << platform(arm, R"("os": "windows", "architecture": "riscv64")") << "]}";
    for (const std::string wanted : {"linux/riscv64", "linux/riscv64/v3"}) {
        ASSERT_EQ(run({"--oci", where, "--platform", wanted}).status, 0);
        EXPECT_EQ(ImageReader(image("other")).find("riscv").has_value(), wanted == "linux/riscv64");
    }
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << platform(arm, R"("os": "linux", "architecture": "arm", "variant": "v7")")
        << ", " << platform(riscv, R"("os": "linux", "architecture": "arm")") << "]}";
#if defined(__x86_64__) || defined(__aarch64__)
    std::ofstream(root() / "index.json") << std::ifstream(layout_ / "index.json").rdbuf();
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << platform(arm, R"("architecture": "amd64")") << ", "
        << platform(riscv, R"("architecture": "arm64")") << "]}";
    EXPECT_EQ(run({"--oci", where}).status, 0) << "no system is named";
    fs::rename(root() / "index.json", layout_ / "index.json");
#endif
    for (const std::string wanted : {"linux/arm", "linux/arm/v7"}) {
        ASSERT_EQ(run({"--oci", where, "--platform", wanted}).status, 0);
        EXPECT_EQ(ImageReader(image("other")).find("riscv").has_value(), wanted == "linux/arm");
    }
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": ["
        << platform(riscv, R"("os": "linux", "architecture": "arm64", "variant": "v9")") << ", "
        << platform(arm, R"("os": "linux", "architecture": "arm64", "variant": "v8")") << "]}";
    ASSERT_EQ(run({"--oci", where, "--platform", "linux/arm64"}).status, 0);
    EXPECT_TRUE(ImageReader(image("other")).find("arm"));
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": ["
        << platform(arm, R"("os": "linux", "architecture": "riscv64", "variant": "v3")") << ", "
        << platform(riscv, R"("os": "linux", "architecture": "riscv64")") << ", "
        << platform(arm, R"("os": "windows", "architecture": "riscv64")") << "]}";
    fs::remove(image("other"));
    expect_error(run({"--oci", where, "--platform", "riscv64"}),
                 "expected one image for riscv64, got 3; it has images for "
                 "linux/riscv64/v3, linux/riscv64, windows/riscv64: choose by --platform");
    EXPECT_EQ(run({source(), "--platform", "arm64"}).status, 2);
    EXPECT_EQ(run({"--oci", where, "--layers", "--uuid", std::string(32, '7')}).status, 2);
}

// As docker save writes an index beside its own manifest.json.
TEST_F(Containers, NamesOfDocker)
{
    const auto named = [&](const std::string &name) {
        add_file(name, "x");
        return "{\"digest\": \"sha256:" + add_blob_of(add_layer(layout_)) +
               "\", \"annotations\": {\"io.containerd.image.name\": "
               "\"docker.io/library/" +
               name + ":12\", \"org.opencontainers.image.ref.name\": \"12\"}}";
    };
    const std::string manifests = named("one") + ", " + named("other");
    std::ofstream(layout_ / "index.json") << "{\"manifests\": [" << manifests << "]}";
    for (const std::string name : {"one", "other"}) {
        for (const std::string front : {"", "library/", "docker.io/", "docker.io/library/"}) {
            const ToolResult result = run({"--oci", layout_.string() + ":" + front + name + ":12"});
            ASSERT_EQ(result.status, 0) << front << name << result.err;
            EXPECT_TRUE(ImageReader(image("other")).find(name));
        }
    }
    fs::remove(image("other"));
    for (const std::string name : {"12", "ne:12", "one"}) {
        expect_error(run({"--oci", layout_.string() + ":" + name}),
                     "expected one image tagged " + name + ", got ");
        expect_error(run({"--oci", layout_.string() + ":" + name}),
                     "it has the tags docker.io/library/one:12, docker.io/library/other:12");
    }
    // The whole name counts before what others end with.
    const auto whole = [&](const std::string &name, const std::string &content) {
        add_file(content, "x");
        const std::string layer = add_layer(layout_);
        return std::pair("{\"digest\": \"sha256:" + add_blob_of(layer) +
                             "\", \"annotations\": "
                             "{\"org.opencontainers.image.ref.name\": \"" +
                             name + "\"}}",
                         "{\"RepoTags\": [\"" + name + "\"], \"Layers\": [\"blobs/sha256/" + layer + "\"]}");
    };
    const auto here = whole("app:1", "here");
    const auto there = whole("localhost:5000/app:1", "there");
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << there.first << ", " << here.first << ", " << manifests << "]}";
    for (const bool of_docker : {false, true}) {
        for (const std::string name : {"app:1", "localhost:5000/app:1"}) {
            ASSERT_EQ(run({"--oci", layout_.string() + ":" + name}).status, 0) << name;
            EXPECT_EQ(ImageReader(image("other")).find("here").has_value(), name == "app:1");
        }
        fs::remove(image("other"));
        expect_error(run({"--oci", layout_}),
                     of_docker ? "expected one image, got 2" : "expected one image, got 4");
        fs::remove(layout_ / "index.json");
        std::ofstream(layout_ / "manifest.json") << "[" << there.second << ", " << here.second << "]";
    }
}

// An index need not have platforms: skopeo, umoci and docker save write them to the configuration alone.
TEST_F(Containers, ForAPlatformThatOnlyTheConfigurationNames)
{
    add_file("file", "x");
    const std::string layer = add_layer(layout_);
    const std::string config =
        add_blob(layout_, R"({"os": "linux", "architecture": "arm64", "variant": "v8"})");
    const std::string manifest = add_blob(layout_, "{\"config\": " + descriptor(config) + ", \"layers\": [" +
                                                       descriptor(layer) + "]}");
    const std::string bare = add_blob_of(layer);
    const auto write_index_of = [&](const std::string &one) {
        std::ofstream(layout_ / "index.json") << "{\"manifests\": [" << descriptor(one) << "]}";
    };
    const auto expect_only_arm = [&] {
        EXPECT_EQ(run({"--oci", layout_}).status, 0);
        EXPECT_EQ(run({"--oci", layout_, "--platform", "linux/arm64"}).status, 0);
        fs::remove(image("other"));
        expect_error(run({"--oci", layout_, "--platform", "riscv64"}),
                     "expected an image for riscv64, got one for linux/arm64/v8");
    };
    write_index_of(manifest);
    expect_only_arm();
    write_index_of(bare);
    expect_error(run({"--oci", layout_, "--platform", "arm64"}),
                 "expected an image for arm64, got one for no platform");
    fs::remove(layout_ / "index.json");
    std::ofstream(layout_ / "manifest.json") << "[{\"Config\": \"blobs/sha256/" << config
                                             << "\", \"Layers\": [\"blobs/sha256/" << layer << "\"]}]";
    ASSERT_EQ(run({"--oci", layout_, "--platform", "riscv64"}).status, 1);
    // Without a variant, arm64 is v8.
    const std::string plain = add_blob(layout_, R"({"os": "linux", "architecture": "arm64"})");
    write_index_of(add_blob(layout_, "{\"config\": " + descriptor(plain) + ", \"layers\": [" +
                                         descriptor(layer) + "]}"));
    for (const std::string wanted : {"arm64", "arm64/v8", "linux/arm64/v8", "linux"})
        EXPECT_EQ(run({"--oci", layout_, "--platform", wanted}).status, 0) << wanted;
    fs::remove(image("other"));
    expect_error(run({"--oci", layout_, "--platform", "arm64/v9"}),
                 "expected an image for arm64/v9, got one for linux/arm64");
}

} // namespace

} // namespace daxfs::test
