// SPDX-License-Identifier: Apache-2.0
// Trees that broke other tools. Most come from text, since few filesystems hold them all.
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

#include "check_image.hpp"
#include "extract.hpp"
#include "mkdaxfs.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class Torture : public TreeTest {
protected:
    void make_from_text(const std::string &text) const
    {
        std::istringstream in("daxfs-text 1\n" + text);
        std::ostringstream out;
        std::ostringstream err;
        ASSERT_EQ(mkdaxfs_main({image(), "--text", "-"}, in, out, err), 0) << err.str();
    }

    void expect_clean(const ImageReader &reader) const
    {
        check_image(reader, [](const Problem &problem) { ADD_FAILURE() << problem.text; }, {2, nullptr});
    }
};

TEST_F(Torture, MillionFiles)
{
    constexpr int files = 1000000;
    std::string text;
    for (int i = 0; i < files; ++i)
        text += fmt::format("reg /d{:03}/file{:06} mode=0{:o} uid={} size=8\n+ {}=\n", i / 1000, i,
                            0600 + i % 64, i, fmt::format("{:011}", i % 1000));
    make_from_text(text);
    const ImageReader reader(image());
    EXPECT_EQ(reader.image().inode_count, 1001001u);
    EXPECT_EQ(attr_of(reader, "d999/file999999").uid, 999999u);
    expect_clean(reader); // how long that takes: ./run-bench image-build
}

TEST_F(Torture, HundredThousandEntriesAndAsManyDirectories)
{
    std::string text;
    for (int i = 0; i < 100000; ++i)
        text += fmt::format("dir /many/{}\n", i);
    make_from_text(text);
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "many").nlink, 100002u);
    expect_clean(reader);
}

TEST_F(Torture, HardLinks)
{
    std::string text = "reg /first size=3\n+ YWJj\n";
    for (int i = 1; i < 65536; ++i)
        text += fmt::format("link /links/{} /first\n", i);
    make_from_text(text);
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "first").nlink, 65536u);
    EXPECT_EQ(content_of(reader, "links/65535"), "abc");
    EXPECT_EQ(reader.image().inode_count, 3u);
    expect_clean(reader);
}

TEST_F(Torture, Xattrs)
{
    std::string text = "reg /file";
    for (int i = 0; i < 255; ++i)
        text += fmt::format(" xattr.user.n{}={}", i, std::string(4096, static_cast<char>('a' + i % 26)));
    make_from_text(text + "\nreg /largest xattr.user.x=" + std::string(65536, 'v') + "\n");
    const ImageReader reader(image());
    const auto xattrs = reader.xattrs(attr_of(reader, "file").node);
    ASSERT_EQ(xattrs.size(), 255u);
    for (const Xattr &xattr : xattrs)
        EXPECT_EQ(xattr.value,
                  std::string(4096, static_cast<char>('a' + std::stoi(xattr.name.substr(1)) % 26)));
    EXPECT_EQ(reader.xattrs(attr_of(reader, "largest").node)[0].value.size(), 65536u);
    expect_clean(reader);
}

TEST_F(Torture, TebibyteOfHoles)
{
    constexpr off_t size = 1LL << 40;
    const int fd = open((source() / "huge").c_str(), O_RDWR | O_CREAT, 0644);
    ASSERT_GE(fd, 0);
    if (ftruncate(fd, size) != 0) {
        close(fd);
        GTEST_SKIP() << "this filesystem holds no files of 1 TiB";
    }
    ASSERT_EQ(pwrite(fd, "begin", 5, 0), 5);
    ASSERT_EQ(pwrite(fd, "middle", 6, size / 2), 6);
    ASSERT_EQ(pwrite(fd, "end", 3, size - 3), 3);
    close(fd);
    make();
    const ImageReader reader(image());
    EXPECT_LT(reader.image().size, 100000u);
    const daxfs_attr attr = attr_of(reader, "huge");
    EXPECT_EQ(attr.node.size, static_cast<std::uint64_t>(size));
    EXPECT_EQ(attr.blocks, 3u);
    const daxfs_map map = reader.map(attr.node, size / 2);
    EXPECT_EQ(std::memcmp(reader.bytes(map.off, 6).data(), "middle", 6), 0);
    expect_clean(reader);
    EXPECT_EQ(extract_image(reader, root() / "out", [](const std::string &text) { ADD_FAILURE() << text; }),
              0u);
    struct stat st = {};
    ASSERT_EQ(stat((root() / "out/huge").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, size);
    EXPECT_LT(st.st_blocks, 1000);
}

TEST_F(Torture, DeepestTree)
{
    std::string path;
    for (int depth = 0; depth < 20000; ++depth)
        path += "/d";
    make_from_text("reg " + path + "/bottom size=3\n+ YWJj\n");
    const ImageReader reader(image());
    EXPECT_EQ(content_of(reader, path + "/bottom"), "abc");
    expect_clean(reader);
}

} // namespace

} // namespace daxfs::test
