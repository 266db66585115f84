// SPDX-License-Identifier: Apache-2.0
// The same tree gives the same bytes.
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "compare_tree.hpp"
#include "tree_fixture.hpp"
#include "uuid.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class Determinism : public TreeTest {
protected:
    // The same tree, made in ascending or descending order of names.
    void make_tree(bool descending) const
    {
        fs::remove_all(source());
        fs::create_directory(source());
        for (int i = 0; i < 40; ++i) {
            const int dir = descending ? 39 - i : i;
            for (int j = 0; j < 30; ++j) {
                const int file = descending ? 29 - j : j;
                const std::size_t size = static_cast<std::size_t>(dir * 997 + file * 131);
                add_file("d" + std::to_string(dir) + "/f" + std::to_string(file),
                         noise(size, static_cast<std::uint64_t>(size % 501)));
            }
        }
        for (const int i : {2, 0, 1})
            add_file("large" + std::to_string(i), noise((2 << 20) + 5, i == 2 ? 1 : 2));
        fs::create_hard_link(source() / "d7/f7", source() / "d3/link");
        for (const auto &entry : fs::recursive_directory_iterator(source()))
            set_mtime(fs::relative(entry.path(), source()).string(), 1000, 0);
        set_mtime(".", 1000, 0);
    }
};

TEST_F(Determinism, ThreadsAndOrderOfReading)
{
    make_tree(false);
    make({"--threads", "1"}, "one");
    const std::string one = read_file(image("one"));
    for (int round = 0; round < 3; ++round) {
        make({"--threads", "8"}, "eight");
        ASSERT_TRUE(read_file(image("eight")) == one);
    }
    make_tree(true);
    make({"--threads", "3"}, "other");
    EXPECT_TRUE(read_file(image("other")) == one);
    expect_same_tree(source(), ImageReader(image("other")));
}

TEST_F(Determinism, UuidFollowsTheContent)
{
    const auto uuid = [&](std::string_view content) {
        add_file("file", content);
        set_mtime("file", 1, 0);
        set_mtime(".", 1, 0);
        make();
        const ImageReader reader(image());
        return std::string(std::begin(reader.image().uuid), std::end(reader.image().uuid));
    };
    const std::string first = uuid("one");
    EXPECT_NE(first, uuid("two"));
    EXPECT_EQ(first, uuid("one"));
    EXPECT_EQ(first[6] & 0xf0, 0x80);
}

// How much is read or written at a time must not show, nor which mkdaxfs it was.
TEST_F(Determinism, UuidStaysTheSameInLaterReleases)
{
    const std::vector<std::pair<std::string, std::size_t>> files = {
        {"empty", 0}, {"small", 5000}, {"just-small", (2 << 20) - 1}, {"large", 5'000'000}};
    for (const auto &[name, size] : files) {
        ASSERT_EQ(chmod(add_file(name, noise(size, size)).c_str(), 0644), 0);
        set_mtime(name, 1000, 0);
    }
    ASSERT_EQ(chmod(source().c_str(), 0755), 0);
    set_mtime(".", 1000, 0);
    make({"--all-root"});
    EXPECT_EQ(show_uuid(ImageReader(image()).uuid()), "8b313785-9a78-8b30-b051-ef9bc117b1f6");
}

// Neither the clock nor what a copy of the tree changes: times of access and change, inode numbers.
TEST_F(Determinism, TheClockDoesNotShow)
{
    ASSERT_EQ(chmod(add_file("dir/file", "content").c_str(), 0644), 0);
    add_file("other", noise(3 << 20, 1));
    set_mtime("dir/file", 1000, 999999999);
    set_mtime("other", 900, 5);
    set_mtime("dir", -5, 1);
    set_mtime(".", 10, 0);
    const auto expect_times = [&](std::string_view name, std::int64_t build_sec) {
        const ImageReader reader(image(name));
        EXPECT_EQ(reader.image().build_sec, build_sec) << name;
        EXPECT_EQ(reader.image().build_nsec, 0u) << name;
    };
    make({}, "before");
    expect_times("before", 1000);
    setenv("SOURCE_DATE_EPOCH", "950", 1);
    make({}, "epoch-before");
    unsetenv("SOURCE_DATE_EPOCH");
    expect_times("epoch-before", 950);

    // Birth and change times of the copy are at least a second later.
    usleep(1100000);
    fs::copy(source(), root() / "copy", fs::copy_options::recursive);
    fs::remove_all(source());
    add_file("in-between", "takes an inode number");
    const fs::path between = root() / "between";
    fs::rename(source(), between);
    fs::rename(root() / "copy", source());
    ASSERT_EQ(chmod((source() / "dir/file").c_str(), 0600), 0);
    ASSERT_EQ(chmod((source() / "dir/file").c_str(), 0644), 0);
    set_mtime("dir/file", 1000, 999999999);
    set_mtime("other", 900, 5);
    set_mtime("dir", -5, 1);
    set_mtime(".", 10, 0);
    setenv("TZ", "Asia/Kolkata", 1);
    make({}, "after");
    setenv("SOURCE_DATE_EPOCH", "950", 1);
    make({}, "epoch-after");
    unsetenv("SOURCE_DATE_EPOCH");
    unsetenv("TZ");
    EXPECT_TRUE(read_file(image("after")) == read_file(image("before")));
    EXPECT_TRUE(read_file(image("epoch-after")) == read_file(image("epoch-before")));
    EXPECT_FALSE(read_file(image("epoch-after")) == read_file(image("after")));
}

} // namespace

} // namespace daxfs::test
