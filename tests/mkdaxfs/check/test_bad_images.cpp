// SPDX-License-Identifier: Apache-2.0
// The reader's answers to images that are not what they should be.
#include <cstring>
#include <fstream>
#include <functional>

#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class BadImages : public TreeTest {
protected:
    void SetUp() override
    {
        TreeTest::SetUp();
        add_file("dir/file", noise(10000, 1));
        fs::create_symlink("dir/file", source() / "link");
        make();
        good_ = read_file(image());
    }

    std::string open_error(const std::string &bytes) const
    {
        std::ofstream(image("bad"), std::ios::binary) << bytes;
        try {
            const ImageReader reader(image("bad"));
            return "";
        } catch (const ImageError &error) {
            return error.what();
        }
    }

    // A good image but for one change to its superblock, with a right checksum.
    std::string with_super(const std::function<void(daxfs_super &)> &change) const
    {
        daxfs_super super;
        std::memcpy(&super, good_.data(), sizeof(super));
        change(super);
        super.crc = 0;
        std::string bytes = good_;
        std::memcpy(bytes.data(), &super, sizeof(super));
        super.crc = daxfs_crc32c(0, bytes.data(), DAXFS_SUPER_SIZE);
        std::memcpy(bytes.data(), &super, sizeof(super));
        return bytes;
    }

    std::string good_;
};

void expect_part(const std::string &text, const std::string &part)
{
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nwanted: " << part;
}

TEST_F(BadImages, Truncated)
{
    const auto wanted =
        "expected " + std::to_string(good_.size()) + " bytes as its superblock says, there are ";
    expect_part(open_error(good_.substr(0, good_.size() - 4096)),
                wanted + std::to_string(good_.size() - 4096) + ": it was cut");
    expect_part(open_error(good_.substr(0, 4096)), wanted + "4096: it was cut");
    expect_part(open_error(good_.substr(0, 100)), "only 100 bytes");
    expect_part(open_error(""), "no bytes");
    // A region larger than the image is fine.
    EXPECT_EQ(open_error(good_ + std::string(100000, 'x')), "");
}

TEST_F(BadImages, Foreign)
{
    expect_part(open_error(noise(100000, 5)), "magic");
    expect_part(open_error(std::string(100000, '\0')), "magic");
}

TEST_F(BadImages, NewerVersion)
{
    expect_part(open_error(with_super([](daxfs_super &super) { super.version = 2; })),
                "needs format version 0x2, unknown here");
}

TEST_F(BadImages, Features)
{
    const auto unknown = [](daxfs_super &super) { super.incompat |= 0x40000000; };
    expect_part(open_error(with_super(unknown)),
                "needs format incompat 0x40000000, unknown here: a later DAXFS is needed");
    const auto compatible = [](daxfs_super &super) { super.compat |= 0x40000000; };
    EXPECT_EQ(open_error(with_super(compatible)), "");
}

TEST_F(BadImages, AnyFlippedBitOfTheSuperblock)
{
    for (std::size_t at = 0; at < DAXFS_SUPER_SIZE; at += 7) {
        std::string bytes = good_;
        bytes[at] ^= 0x10;
        EXPECT_NE(open_error(bytes), "") << "byte " << at;
    }
}

TEST_F(BadImages, RangesOutsideTheImage)
{
    for (const auto range : {&daxfs_super::metadata, &daxfs_super::inodes, &daxfs_super::dirs,
                             &daxfs_super::symlinks, &daxfs_super::data}) {
        EXPECT_NE(open_error(with_super([&](daxfs_super &super) { (super.*range).off = ~0ULL; })), "");
        EXPECT_NE(open_error(with_super([&](daxfs_super &super) { (super.*range).len = ~0ULL; })), "");
        EXPECT_NE(open_error(with_super([&](daxfs_super &super) { (super.*range).off = super.image_size; })),
                  "");
    }
}

TEST_F(BadImages, FlippedMetadataIsSeenByTheChecksum)
{
    const ImageReader reader(image());
    const std::size_t begin = reader.image().metadata.off;
    const std::size_t end = begin + reader.image().metadata.len;
    for (std::size_t at = begin; at < end; at += 11) {
        std::string bytes = good_;
        bytes[at] ^= 0x01;
        ASSERT_EQ(open_error(bytes), "");
        const ImageReader bad(image("bad"));
        EXPECT_NE(bad.metadata_crc(), bad.image().metadata_crc) << "byte " << at;
    }
}

// Nothing but an answer or an error, whatever the bytes are (run it with sanitizers).
TEST_F(BadImages, WalkOfDamagedMetadataEnds)
{
    const ImageReader reader(image());
    const std::size_t begin = reader.image().metadata.off;
    const std::size_t end = begin + reader.image().metadata.len;
    for (std::size_t at = begin; at < end; ++at) {
        for (const int value : {0x00, 0x7f, 0xff}) {
            std::string bytes = good_;
            bytes[at] = static_cast<char>(value);
            ASSERT_EQ(open_error(bytes), "");
            const ImageReader bad(image("bad"));
            for (std::uint64_t ino = 1; ino <= bad.image().inode_count; ++ino) {
                try {
                    const daxfs_attr attr = bad.inode(ino);
                    bad.xattrs(attr.node);
                    if ((attr.mode & 0170000) == 0040000) {
                        for (std::uint32_t i = 0; i < attr.node.count; ++i)
                            bad.entry(attr.node, i);
                        bad.lookup(attr.node, "file");
                    } else if ((attr.mode & 0170000) == 0120000) {
                        bad.target(attr.node);
                    } else if (attr.node.size != 0 && (attr.mode & 0170000) == 0100000) {
                        bad.map(attr.node, attr.node.size - 1);
                    }
                } catch (const ImageError &) {
                }
            }
        }
    }
}

} // namespace

} // namespace daxfs::test
