// SPDX-License-Identifier: Apache-2.0
// The same tree gives the same bytes.
#include <fstream>

#include "compare_tree.hpp"
#include "tree_fixture.hpp"

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
        for (const auto& entry : fs::recursive_directory_iterator(source()))
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

}  // namespace

}  // namespace daxfs::test
