// SPDX-License-Identifier: Apache-2.0
// An image that changes below whoever has it mounted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "image_reader.hpp"
#include "io.hpp"
#include "memory_tree.hpp"

namespace daxtest {

/// The image's file, which is the mount's memory: changes show at once, restore() takes them back.
class SharedImage {
public:
    explicit SharedImage(const std::filesystem::path &path)
        : fd_(daxbench::open_file(path.string(), O_RDWR)), good_(daxbench::read_file(path.string())),
          reader_(path.string())
    {
    }

    template <typename T> void set(std::uint64_t at, T value) { write(at, as_bytes(value)); }

    void write(std::uint64_t at, const std::string &bytes)
    {
        if (pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) !=
            static_cast<ssize_t>(bytes.size()))
            daxbench::throw_errno("cannot write into the image");
        changed_.emplace_back(at, bytes.size());
    }

    void restore()
    {
        const auto changed = std::exchange(changed_, {});
        for (const auto &[at, size] : changed)
            write(at, good_.substr(at, size));
        changed_.clear();
    }

    std::uint32_t ino(const std::string &path) const { return reader_.find(path).value(); }
    daxfs_node node(const std::string &path) const { return reader_.inode(ino(path)).node; }
    /// Where a field of an inode lies.
    std::uint64_t inode(const std::string &path, std::size_t field) const
    {
        return reader_.image().inodes.off + (ino(path) - 1) * sizeof(daxfs_inode) + field;
    }
    /// Where a field of the entry of a path lies.
    std::uint64_t entry(const std::filesystem::path &path, std::size_t field) const
    {
        const auto dir = node(path.parent_path().string());
        for (std::uint32_t i = 0;; ++i) {
            const auto found = reader_.entry(dir, i);
            if (reinterpret_cast<const char *>(found.name) == path.filename())
                return entries(dir) + i * sizeof(daxfs_dirent) + field;
        }
    }
    std::uint64_t name_of(const std::filesystem::path &path) const
    {
        std::uint32_t at;
        std::memcpy(&at, good_.data() + entry(path, offsetof(daxfs_dirent, name)), sizeof at);
        return node(path.parent_path().string()).data + at;
    }
    std::uint64_t bucket(const std::string &dir, std::uint32_t index) const
    {
        return node(dir).data + sizeof(daxfs_dir) + index * 4;
    }
    std::uint64_t extent(const std::string &path, std::uint32_t index, std::size_t field) const
    {
        return node(path).data + sizeof(daxfs_extent_list) + index * sizeof(daxfs_extent) + field;
    }
    std::uint64_t xattrs(const std::string &path) const
    {
        return reader_.image().xattrs.off + (node(path).xattr - 1) * std::uint64_t{8};
    }
    const daxfs_image &image() const { return reader_.image(); }

private:
    template <typename T> static std::string as_bytes(T value)
    {
        return {reinterpret_cast<const char *>(&value), sizeof value};
    }
    static std::uint64_t entries(const daxfs_node &dir)
    {
        const std::uint64_t buckets = ((std::uint64_t{1} << dir.bucket_bits) + 1) * 4;
        return dir.data + sizeof(daxfs_dir) + (buckets + 7) / 8 * 8;
    }

    daxbench::UniqueFd fd_;
    std::string good_;
    daxfs::ImageReader reader_;
    std::vector<std::pair<std::uint64_t, std::size_t>> changed_;
};

inline MemoryTree hostile_tree()
{
    const MemoryFile folder{.mode = S_IFDIR | 0755};
    MemoryTree tree;
    tree["good"] = {.content = "untouched"};
    tree["file"] = {.content = std::string(20000, 'f')};
    tree["dir/one"] = {.content = "1"};
    tree["dir/up"] = {.content = "2"};
    tree["dir/sub/inner/innermost"] = {.content = "3"};
    tree["twins/a"] = folder;
    tree["twins/b"] = folder;
    for (int i = 0; i < 100; ++i)
        tree[fmt::format("many/f{}", i)] = {.content = std::to_string(i)};
    tree["link"] = {.mode = S_IFLNK | 0777, .content = "dir/one"};
    tree["sparse"] = {.content = "start", .pieces = {{1 << 20, "middle"}, {4 << 20, "end"}}};
    tree["attributes"] = {.xattrs = {{"user.first", "value"}, {"user.second", "other"}}};
    std::string acl("\2\0\0\0", 4);
    for (const std::uint16_t tag : {1, 4, 32}) {
        const struct {
            std::uint16_t tag, perm;
            std::uint32_t id;
        } entry = {tag, 4, 0xffffffff};
        acl.append(reinterpret_cast<const char *>(&entry), sizeof entry);
    }
    tree["acl"] = {.mode = S_IFREG | 0444, .content = "acl", .xattrs = {{"system.posix_acl_access", acl}}};
    return tree;
}

} // namespace daxtest
