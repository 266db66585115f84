// SPDX-License-Identifier: Apache-2.0
// Where file data lies: alignment, filled gaps, shared data, holes.
#include <algorithm>
#include <fstream>
#include <sstream>

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "check_image.hpp"
#include "compare_tree.hpp"
#include "mkdaxfs.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class Layout : public TreeTest {
protected:
    // A file of this size, all hole but for the pieces.
    void add_sparse(const std::string &path, std::uint64_t size,
                    const std::vector<std::pair<std::uint64_t, std::string>> &pieces) const
    {
        const fs::path full = add_file(path, "");
        const int fd = open(full.c_str(), O_WRONLY);
        ASSERT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
        for (const auto &[offset, data] : pieces)
            ASSERT_EQ(pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset)),
                      static_cast<ssize_t>(data.size()));
        close(fd);
    }
};

TEST_F(Layout, LargeFilesStartOn2MiB)
{
    add_file("a", noise(DAXFS_HUGE_SIZE - 1, 1));
    add_file("b", noise(DAXFS_HUGE_SIZE, 2));
    add_file("c", noise(DAXFS_HUGE_SIZE + 1, 3));
    add_file("d", noise(100, 4));
    make();
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "b").node.data % DAXFS_HUGE_SIZE, 0u);
    EXPECT_EQ(attr_of(reader, "c").node.data % DAXFS_HUGE_SIZE, 0u);
    // a fits in the gap after c; d in the one before b.
    EXPECT_LT(attr_of(reader, "d").node.data, attr_of(reader, "b").node.data);
}

// A directory read in runs gives the entries it gives one by one, and a lookup finds each of them
// whatever place was guessed for it.
TEST_F(Layout, DirectoriesReadInRunsAndLookUpWithAnyGuess)
{
    for (int i = 0; i < 50; ++i)
        add_file("d/" + std::string(1 + (i * 37) % 240, 'a' + i % 26) + std::to_string(i), "");
    make();
    const ImageReader reader(image());
    const daxfs_attr dir = attr_of(reader, "d");
    daxfs_err err = {};
    std::uint32_t index = 0;
    while (index < dir.node.count) {
        daxfs_dir_batch batch = {};
        ASSERT_EQ(daxfs_dir_read(&reader.image(), &dir.node, index, DAXFS_BATCH_ENTRIES, &batch, &err), 0);
        ASSERT_GT(batch.count, 0u);
        const char *name = reinterpret_cast<const char *>(batch.names);
        for (std::uint32_t i = 0; i < batch.count; ++i, ++index) {
            const daxfs_entry entry = reader.entry(dir.node, index);
            const std::string_view got(name, batch.raw[i].name_len);
            EXPECT_EQ(got, std::string_view(reinterpret_cast<const char *>(entry.name), entry.name_len));
            EXPECT_EQ(le32toh(batch.raw[i].ino), entry.ino);
            name += got.size();
            for (const std::uint32_t guess : {index, index + 1, 0u, DAXFS_NO_HINT}) {
                daxfs_dir_hint slot = {.index = guess, .ino = 0, .type = 0};
                ASSERT_EQ(
                    daxfs_dir_lookup(&reader.image(), &dir.node, entry.name, entry.name_len, &slot, &err), 0);
                EXPECT_EQ(slot.index, index);
                EXPECT_EQ(slot.ino, entry.ino);
            }
        }
    }
    EXPECT_EQ(index, 50u);
    daxfs_dir_hint slot = {.index = 0, .ino = 0, .type = 0};
    EXPECT_EQ(daxfs_dir_lookup(&reader.image(), &dir.node, reinterpret_cast<const std::uint8_t *>("none"), 4,
                               &slot, &err),
              -ENOENT);
}

TEST_F(Layout, SmallFilesFillTheGaps)
{
    std::uint64_t data = 0;
    for (int i = 0; i < 8; ++i) {
        add_file("large" + std::to_string(i), noise(DAXFS_HUGE_SIZE + 300000, 100 + i));
        data += 2400256;
    }
    for (int i = 0; i < 1500; ++i) {
        add_file("small/" + std::to_string(i), noise(10000, 1000 + i));
        data += 12288;
    }
    make();
    EXPECT_LE(fs::file_size(image()), data * 103 / 100);
    expect_same_tree(source(), ImageReader(image()));
}

TEST_F(Layout, PackedFilesTakeWholeBlocksOnly)
{
    for (int i = 0; i < 100; ++i)
        add_file(std::to_string(i), noise(5000, i));
    make();
    const ImageReader reader(image());
    EXPECT_EQ(reader.image().data.len, 100u * 8192);
    EXPECT_EQ(reader.image().data_bytes, 100u * 8192);
    EXPECT_EQ(reader.image().size, fs::file_size(image()));
    EXPECT_EQ(reader.image().compat, 0u);
    EXPECT_EQ(reader.image().incompat, 0u);
}

TEST_F(Layout, EqualFilesAreStoredOnce)
{
    const std::string large = noise(3 << 20, 1);
    const std::string small = noise(9000, 2);
    for (const std::string dir : {"a/", "b/", "c/"}) {
        add_file(dir + "large", large);
        add_file(dir + "small", small);
    }
    std::string other = large;
    other.back() ^= 1;
    add_file("other", other);
    make();
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "a/large").node.data, attr_of(reader, "c/large").node.data);
    EXPECT_EQ(attr_of(reader, "a/small").node.data, attr_of(reader, "b/small").node.data);
    EXPECT_NE(attr_of(reader, "a/large").node.data, attr_of(reader, "other").node.data);
    EXPECT_EQ(reader.image().compat, DAXFS_COMPAT_SHARED_DATA);
    expect_same_tree(source(), reader);

    make({"--no-dedupe"}, "twice");
    const ImageReader twice(image("twice"));
    EXPECT_NE(attr_of(twice, "a/large").node.data, attr_of(twice, "c/large").node.data);
    EXPECT_NE(attr_of(twice, "a/small").node.data, attr_of(twice, "c/small").node.data);
    EXPECT_EQ(twice.image().compat, 0u);
    expect_same_tree(source(), twice);
}

// Blocks are shared, and what follows the end of a file in its last one is zeros.
TEST_F(Layout, FilesThatDifferOnlyInZerosAtTheirEndAreStoredOnce)
{
    add_file("a", "abc");
    for (const char *name : {"b", "c"})
        add_file(name, std::string("abc\0", 4));
    add_file("d", "abc" + std::string(4094, '\0'));
    make();
    const ImageReader reader(image());
    const std::uint64_t data = attr_of(reader, "a").node.data;
    EXPECT_EQ(attr_of(reader, "b").node.data, data);
    EXPECT_EQ(attr_of(reader, "c").node.data, data);
    EXPECT_NE(attr_of(reader, "d").node.data, data) << "it has two blocks";
    expect_same_tree(source(), reader);
    EXPECT_EQ(check_image(reader, [](const Problem &problem) { ADD_FAILURE() << problem.text; }), 0u);
}

TEST_F(Layout, SparseFileOf1TiB)
{
    constexpr std::uint64_t size = 1ULL << 40;
    add_sparse("huge", size, {{0, "first"}, {size / 2 + 5000, noise(100000, 1)}, {size - 3, "end"}});
    make();
    EXPECT_LT(fs::file_size(image()), 1u << 20);
    const ImageReader reader(image());
    const daxfs_attr huge = attr_of(reader, "huge");
    EXPECT_EQ(huge.node.size, size);
    EXPECT_EQ(huge.node.count, 3u);
    EXPECT_EQ(reader.image().incompat, DAXFS_INCOMPAT_EXTENTS);
    const daxfs_map start = reader.map(huge.node, 0);
    EXPECT_FALSE(start.hole);
    EXPECT_EQ(reader.bytes(start.off, 5)[4], 't');
    EXPECT_TRUE(reader.map(huge.node, 4096).hole);
    const daxfs_map middle = reader.map(huge.node, size / 2 + 5000);
    const auto got = reader.bytes(middle.off, 100000);
    EXPECT_EQ(std::string(got.begin(), got.end()), noise(100000, 1));
    const daxfs_map end = reader.map(huge.node, size - 1);
    EXPECT_EQ(reader.bytes(end.off, 1)[0], 'd');
    EXPECT_EQ(end.len, 1u);
}

TEST_F(Layout, HolesComeFromTheContentNotFromTheSource)
{
    const std::string data = noise(100000, 1);
    add_sparse("file", 1 << 20, {{300000, data}});
    set_mtime("file", 1, 0);
    set_mtime(".", 1, 0);
    make();
    const std::string content = read_file(source() / "file");
    add_file("file", content);
    set_mtime("file", 1, 0);
    set_mtime(".", 1, 0);
    make({}, "written");
    EXPECT_TRUE(read_file(image()) == read_file(image("written")));
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "file").node.layout, DAXFS_LAYOUT_EXTENTS);
    expect_same_tree(source(), reader);
}

TEST_F(Layout, FewZerosStayFlat)
{
    // One run of 64 KiB of zeros in 4 MiB, and many short ones.
    std::string content = noise(4 << 20, 1);
    content.replace(1 << 20, 65536, 65536, '\0');
    add_file("long", content);
    content = noise(1 << 20, 2);
    for (std::size_t at = 0; at < content.size(); at += 65536)
        content.replace(at, 40000, 40000, '\0');
    add_file("short", content);
    make();
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "long").node.layout, DAXFS_LAYOUT_FLAT);
    EXPECT_EQ(attr_of(reader, "short").node.layout, DAXFS_LAYOUT_FLAT);
}

TEST_F(Layout, LargeExtentsKeepTheirPlaceModulo2MiB)
{
    constexpr std::uint64_t mib = 1 << 20;
    add_sparse("file", 64 * mib, {{3 * mib, noise(5 * mib, 1)}, {40 * mib, noise(4096, 2)}});
    make();
    const ImageReader reader(image());
    const daxfs_attr file = attr_of(reader, "file");
    const daxfs_map run = reader.map(file.node, 3 * mib);
    EXPECT_EQ(run.len, 5 * mib);
    EXPECT_EQ(run.off % DAXFS_HUGE_SIZE, mib);
    expect_same_tree(source(), reader);
}

TEST_F(Layout, EqualSparseFilesAreStoredOnce)
{
    for (const std::string name : {"a", "b"})
        add_sparse(name, 1 << 20, {{524288, noise(5000, 1)}});
    add_sparse("moved", 1 << 20, {{262144, noise(5000, 1)}});
    add_sparse("empty", 1 << 20, {});
    make();
    const ImageReader reader(image());
    const auto where = [&](std::string_view path, std::uint64_t pos) {
        return reader.map(attr_of(reader, path).node, pos).off;
    };
    EXPECT_EQ(where("a", 524288), where("b", 524288));
    EXPECT_NE(where("a", 524288), where("moved", 262144));
    EXPECT_EQ(attr_of(reader, "empty").blocks, 0u);
    expect_same_tree(source(), reader);
}

TEST_F(Layout, InodesOfADirectoryAreNeighbours)
{
    for (const std::string dir : {"b", "a"}) {
        for (const std::string name : {"3", "1", "2"})
            add_file(dir + "/" + name, name);
    }
    make();
    const ImageReader reader(image());
    std::vector<std::uint32_t> order;
    for (const std::string path : {"", "a", "b", "a/1", "a/2", "a/3", "b/1", "b/2", "b/3"})
        order.push_back(reader.find(path).value_or(0));
    EXPECT_EQ(order, (std::vector<std::uint32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_LT(attr_of(reader, "a/1").node.data, attr_of(reader, "a/2").node.data);
}

TEST_F(Layout, FollowsTheOrderGiven)
{
    for (int i = 0; i < 4; ++i) {
        add_file("large" + std::to_string(i), noise(DAXFS_HUGE_SIZE + 4096, 10 + i));
        add_file("small/" + std::to_string(i), noise(5000, 20 + i));
    }
    add_file("a name\n", noise(100, 5));
    add_file("z%", noise(5000, 22)); // equal to small/2
    fs::create_directory_symlink("small", source() / "link");
    const auto place = [&](const ImageReader &reader, const char *path) {
        return attr_of(reader, path).node.data;
    };
    const fs::path list = root() / "order";
    std::ofstream(list) << "# comment\n\n/z%25\n./small/3\nlarge2\nsmall/3\n//large0\na name%0A\n"
                           "link/1\nsmall\nlarge0/x\nnowhere\n/\n";
    const ToolResult result = mkdaxfs({"--order", list, "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const auto summary = nlohmann::json::parse(result.out);
    EXPECT_EQ(summary["ordered_files"], 5);
    EXPECT_EQ(summary["unknown_files"], 5);
    const ImageReader reader(image());
    std::vector<std::uint64_t> small;
    for (const char *path : {"z%", "small/3", "a name\n", "small/0", "small/1"})
        small.push_back(place(reader, path));
    EXPECT_TRUE(std::is_sorted(small.begin(), small.end()));
    EXPECT_EQ(place(reader, "small/2"), place(reader, "z%"));
    std::vector<std::uint64_t> large;
    for (const char *path : {"large2", "large0", "large1", "large3"}) {
        large.push_back(place(reader, path));
        EXPECT_EQ(large.back() % DAXFS_HUGE_SIZE, 0u);
    }
    EXPECT_TRUE(std::is_sorted(large.begin(), large.end()));
    expect_same_tree(source(), reader);

    // Only places change, and the same list gives the same bytes.
    make({}, "plain");
    const ImageReader plain(image("plain"));
    EXPECT_LT(place(plain, "large0"), place(plain, "large2"));
    EXPECT_EQ(plain.find("z%"), reader.find("z%"));
    EXPECT_EQ(fs::file_size(image()), fs::file_size(image("plain")));
    make({"--order", list, "--threads", "1"}, "again");
    EXPECT_TRUE(read_file(image()) == read_file(image("again")));
    std::ifstream in(list, std::ios::binary);
    std::ostringstream out;
    ASSERT_EQ(mkdaxfs_main({"--order", "-", image("again"), source()}, in, out, out), 0) << out.str();
    EXPECT_TRUE(read_file(image()) == read_file(image("again")));
    std::ofstream(list, std::ios::trunc);
    make({"--order", list}, "again");
    EXPECT_TRUE(read_file(image("plain")) == read_file(image("again")));

    std::ofstream(list, std::ios::app) << "fine\nwrong%2\n";
    EXPECT_NE(mkdaxfs({"--order", list}).err.find("order line 2: expected two hexadecimal digits"),
              std::string::npos);
    EXPECT_NE(mkdaxfs({"--order", "/nowhere"}).err.find("cannot open /nowhere"), std::string::npos);
}

} // namespace

} // namespace daxfs::test
