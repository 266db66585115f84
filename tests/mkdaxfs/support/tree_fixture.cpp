// SPDX-License-Identifier: Apache-2.0
#include "tree_fixture.hpp"

#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.hpp"
#include "mkdaxfs.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

void TreeTest::SetUp()
{
    fs::create_directory(source());
    unsetenv("SOURCE_DATE_EPOCH");
}

fs::path TreeTest::add_file(const std::string &path, std::string_view content) const
{
    const fs::path full = source() / path;
    fs::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << content;
    return full;
}

void TreeTest::set_mtime(const std::string &path, std::int64_t sec, long nsec) const
{
    const timespec times[2] = {{0, UTIME_OMIT}, {sec, nsec}};
    ASSERT_EQ(utimensat(AT_FDCWD, (source() / path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}

ToolResult TreeTest::mkdaxfs(std::vector<std::string> options, std::string_view name) const
{
    options.push_back(image(name));
    options.push_back(source());
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    const int status = mkdaxfs_main(options, in, out, err);
    return {status, out.str(), err.str()};
}

ToolResult TreeTest::dump(std::vector<std::string> options) const
{
    options.insert(options.begin(), image());
    std::ostringstream out;
    std::ostringstream err;
    const int status = dump_main(options, out, err);
    return {status, out.str(), err.str()};
}

void TreeTest::make(std::vector<std::string> options, std::string_view name) const
{
    const ToolResult result = mkdaxfs(std::move(options), name);
    ASSERT_EQ(result.status, 0) << result.err;
}

std::string noise(std::size_t bytes, std::uint64_t seed)
{
    std::mt19937_64 random(seed);
    std::string text(bytes, '\0');
    for (char &c : text)
        c = static_cast<char>(random() >> 56);
    return text;
}

std::string read_file(const fs::path &path)
{
    std::ostringstream content;
    content << std::ifstream(path, std::ios::binary).rdbuf();
    return content.str();
}

void mend_checksums(std::string &image)
{
    daxfs_super super;
    std::memcpy(&super, image.data(), sizeof(super));
    super.metadata_crc = daxfs_crc32c(0, &image[super.metadata.off], super.metadata.len);
    super.crc = 0;
    std::memcpy(image.data(), &super, sizeof(super));
    super.crc = daxfs_crc32c(0, image.data(), DAXFS_SUPER_SIZE);
    std::memcpy(image.data(), &super, sizeof(super));
}

std::string content_of(const ImageReader &reader, std::string_view path)
{
    std::string content;
    reader.for_each_piece(attr_of(reader, path).node,
                          [&](std::span<const std::uint8_t> data, std::uint64_t len) {
                              content.append(data.begin(), data.end());
                              content.append(len - data.size(), '\0');
                          });
    return content;
}

daxfs_attr attr_of(const ImageReader &reader, std::string_view path)
{
    const auto ino = reader.find(path);
    if (ino)
        return reader.inode(*ino);
    ADD_FAILURE() << path << " is not in the image";
    return reader.inode(DAXFS_ROOT_INO);
}

} // namespace daxfs::test
