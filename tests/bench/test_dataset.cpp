// SPDX-License-Identifier: Apache-2.0
// Datasets: the same content has the same hash, whatever it comes from; another one is refused where it is
// named.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "cache.hpp"
#include "dataset.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;

class DatasetTest : public testing::Test {
protected:
    DatasetTest()
    {
        setenv("XDG_CACHE_HOME", (folder_.path() / "cache").c_str(), 1);
        fs::create_directories(tree_ / "d");
        std::ofstream(tree_ / "d/file") << std::string(5000, 'x');
        fs::create_symlink("d/file", tree_ / "link");
    }

    static Dataset make(const DatasetSpec &spec)
    {
        return ensure_dataset(spec, [](const std::string &) {});
    }

    DatasetSpec given(const fs::path &source) const
    {
        DatasetSpec spec;
        spec.id = "given";
        spec.kind = "tree";
        spec.source = source;
        return spec;
    }

    TempDir folder_;
    fs::path tree_ = folder_.path() / "source";
};

TEST_F(DatasetTest, OfAFolderAndOfItsArchiveIsTheSame)
{
    const auto dataset = make(given(tree_));
    EXPECT_EQ(dataset.bytes, 5000U);
    EXPECT_EQ(dataset.data_bytes, 8192U);
    EXPECT_EQ(dataset.entries, 4U);
    EXPECT_EQ(read_file(dataset.dir / "d/file"), std::string(5000, 'x'));
    const auto archive = folder_.path() / "source.tar";
    run_checked(
        {"tar", "--numeric-owner", "--format=posix", "-cf", archive.string(), "-C", tree_.string(), "."});
    EXPECT_EQ(make(given(archive)).hash, dataset.hash);
    EXPECT_TRUE(fs::is_empty(Cache::scratch()));
}

// Its one layer is an archive of the tree.
TEST_F(DatasetTest, OfAnOciImageIsItsTree)
{
    const auto layout = folder_.path() / "oci";
    fs::create_directories(layout / "blobs/sha256");
    const auto blob = [&](const fs::path &file) {
        const auto hash = sha256_file(file);
        fs::copy_file(file, layout / "blobs/sha256" / hash);
        return "\"digest\":\"sha256:" + hash + "\",\"size\":" + std::to_string(fs::file_size(file));
    };
    const auto text = [&](const std::string &content) {
        write_file(folder_.path() / "blob", content);
        return blob(folder_.path() / "blob");
    };
    const auto layer = folder_.path() / "layer.tar";
    run_checked(
        {"tar", "--numeric-owner", "--format=posix", "-cf", layer.string(), "-C", tree_.string(), "."});
    const std::string type = "{\"mediaType\":\"application/vnd.oci.image.";
    const auto config =
        text("{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
             "[\"sha256:" +
             sha256_file(layer) + "\"]}}");
    const auto manifest = text("{\"schemaVersion\":2,\"config\":" + type + "config.v1+json\"," + config +
                               "},\"layers\":[" + type + "layer.v1.tar\"," + blob(layer) + "}]}");
    write_file(layout / "index.json",
               "{\"schemaVersion\":2,\"manifests\":[" + type + "manifest.v1+json\"," + manifest + "}]}");
    write_file(layout / "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    EXPECT_EQ(make(given(layout)).hash, make(given(tree_)).hash);
    const auto archive = folder_.path() / "oci.tar";
    run_checked({"tar", "-cf", archive.string(), "-C", layout.string(), "."});
    EXPECT_EQ(make(given(archive)).hash, make(given(tree_)).hash);
}

TEST_F(DatasetTest, IsMadeAnewWhenItsSourceHasChanged)
{
    const auto before = make(given(tree_));
    std::ofstream(tree_ / "d/more") << "more";
    const auto after = make(given(tree_));
    EXPECT_NE(after.hash, before.hash);
    EXPECT_EQ(after.entries, before.entries + 1);
}

TEST_F(DatasetTest, DoesNotDependOnTheUmask)
{
    DatasetSpec spec;
    spec.id = "random";
    spec.kind = "random-file";
    spec.bytes = 10000;
    spec.path = "f";
    const auto before = make(spec);
    setenv("XDG_CACHE_HOME", (folder_.path() / "other").c_str(), 1);
    const auto mask = umask(0077);
    const auto after = make(spec);
    umask(mask);
    EXPECT_EQ(after.hash, before.hash);
}

TEST_F(DatasetTest, LayersHaveFilesOfTheirOwnAndSharedOnes)
{
    DatasetSpec spec;
    spec.id = "layers";
    spec.kind = "layers";
    spec.layers = 3;
    spec.own = 1;
    spec.shared = 2;
    spec.bytes = 5000;
    const auto tree = make(spec).dir;
    const auto bytes = [&](const char *name) { return read_file(tree / name); };
    EXPECT_EQ(bytes("000/shared/000-1"), bytes("002/shared/002-1"));
    EXPECT_NE(bytes("000/shared/000-0"), bytes("000/shared/000-1"));
    EXPECT_NE(bytes("000/own/000-0"), bytes("001/own/001-0"));
    EXPECT_EQ(bytes("000/own/000-0").size(), 5000U);
    EXPECT_TRUE(fs::exists(tree / "002/common/in-002"));
    EXPECT_EQ(fs::file_size(tree / probe_file_of(spec)), 4U << 20);
}

TEST_F(DatasetTest, OfAnotherHashThanDeclaredIsRefused)
{
    auto spec = given(tree_);
    spec.xxh3 = make(spec).hash;
    EXPECT_EQ(make(spec).hash, spec.xxh3);
    std::ofstream(tree_ / "d/more") << "more";
    try {
        make(spec);
        FAIL() << "no error";
    } catch (const std::exception &error) {
        EXPECT_NE(std::string(error.what()).find("expected the dataset given with the hash " + spec.xxh3),
                  std::string::npos)
            << error.what();
    }
}

TEST_F(DatasetTest, OfAModelRepeatsAndHasAHeaderOfItsTensors)
{
    DatasetSpec spec;
    spec.id = "tiny-model";
    spec.kind = "accelerator-data";
    spec.seed = 1;
    spec.slots = 1024;
    spec.tensors = {{"a", "4x8"}, {"b", "2x3"}};
    const auto dataset = make(spec);
    const auto model = read_file(dataset.dir / "model.safetensors");
    EXPECT_EQ(dataset.bytes, model.size() + 1024 * 16);
    const std::string header = R"({"__metadata__":{"format":"pt"},)"
                               R"("a":{"data_offsets":[0,128],"dtype":"F32","shape":[4,8]},)"
                               R"("b":{"data_offsets":[128,152],"dtype":"F32","shape":[2,3]}})";
    const auto length = (header.size() + 7) / 8 * 8;
    ASSERT_EQ(model.size(), 8 + length + 152);
    EXPECT_EQ(static_cast<unsigned char>(model[0]), length);
    EXPECT_EQ(model.substr(8, header.size()), header);
    setenv("XDG_CACHE_HOME", (folder_.path() / "again").c_str(), 1);
    EXPECT_EQ(make(spec).hash, dataset.hash);
    spec.tensors["a"] = "4 by 8";
    EXPECT_THROW(make(spec), std::runtime_error);
}

TEST_F(DatasetTest, OfSparseFilesHasTheHashOfTheirBytes)
{
    DatasetSpec spec;
    spec.id = "tiny-sparse";
    spec.kind = "sparse-files";
    spec.seed = 1;
    spec.data_pages = 3;
    spec.files = {{"big", 64 << 20}, {"page", 4096}};
    const auto dataset = make(spec);
    struct stat st {};
    ASSERT_EQ(stat((dataset.dir / "big").c_str(), &st), 0);
    EXPECT_LE(st.st_blocks * 512, 3 * 65536);
    const auto whole = run_checked({DAXBENCH_MANIFEST_TOOL, "--mode", "read", dataset.dir.string()}).out;
    EXPECT_EQ(read_file(dataset.manifest_path), whole);
}

} // namespace
} // namespace daxbench
