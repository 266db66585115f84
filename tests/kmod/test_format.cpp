// SPDX-License-Identifier: Apache-2.0
// docs/format.md against daxfs_format.h and the functions that are part of the format.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "image.h"

namespace daxfs {
namespace {

static_assert(offsetof(daxfs_super, crc) == 12);
static_assert(offsetof(daxfs_super, metadata_crc) == 28);
static_assert(offsetof(daxfs_super, image_size) == 32);
static_assert(offsetof(daxfs_super, build_sec) == 56);
static_assert(offsetof(daxfs_super, metadata) == 72);
static_assert(offsetof(daxfs_super, data) == 184);
static_assert(offsetof(daxfs_super, uuid) == 208);
static_assert(offsetof(daxfs_super, label) == 224);
static_assert(offsetof(daxfs_super, root_digest) == 256);
static_assert(offsetof(daxfs_inode, size) == 16);
static_assert(offsetof(daxfs_inode, mtime_sec) == 24);
static_assert(offsetof(daxfs_inode, xattr) == 36);
static_assert(offsetof(daxfs_inode, data) == 40);
static_assert(offsetof(daxfs_inode, parent) == 52);
static_assert(offsetof(daxfs_dirent, name) == 8);
static_assert(offsetof(daxfs_dirent, type) == 13);
static_assert(offsetof(daxfs_extent, len) == 16);
static_assert(offsetof(daxfs_xattr, value_len) == 4);

std::uint32_t name_hash(std::string_view name)
{
    return daxfs_name_hash(reinterpret_cast<const std::uint8_t *>(name.data()), name.size());
}

TEST(Format, Magic)
{
    const std::uint64_t magic = DAXFS_SB_MAGIC;
    EXPECT_EQ(std::memcmp(&magic, "\0DAXFS1\0", 8), 0);
}

TEST(Format, Crc32cVectors)
{
    // RFC 3720, B.4.
    EXPECT_EQ(daxfs_crc32c(0, "123456789", 9), 0xe3069283u);
    EXPECT_EQ(daxfs_crc32c(0, std::string(32, '\0').data(), 32), 0x8a9136aau);
    EXPECT_EQ(daxfs_crc32c(daxfs_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

// Written from docs/format.md, not from the code.
TEST(Format, NameHashIsTheDocumentedOne)
{
    const auto documented = [](std::string_view name) {
        constexpr std::uint64_t m = 0x9e3779b97f4a7c15;
        std::uint64_t h = name.size();
        for (std::size_t at = 0; at < name.size(); at += 8) {
            std::uint64_t word = 0;
            for (std::size_t i = at; i < std::min(at + 8, name.size()); ++i)
                word |= std::uint64_t{static_cast<unsigned char>(name[i])} << (8 * (i - at));
            h = (h ^ word) * m;
            h ^= h >> 32;
        }
        return static_cast<std::uint32_t>((h * m) >> 32);
    };
    for (std::size_t len = 1; len <= 255; ++len) {
        const std::string name(len, static_cast<char>(len));
        EXPECT_EQ(name_hash(name), documented(name)) << len;
    }
    EXPECT_EQ(name_hash("\xff\x80"), documented("\xff\x80"));
}

} // namespace
} // namespace daxfs
