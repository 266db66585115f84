// SPDX-License-Identifier: Apache-2.0
#include "compare_tree.hpp"

#include <cstring>
#include <map>
#include <set>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <gtest/gtest.h>

#include "check_image.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

std::map<std::string, std::string> disk_xattrs(const fs::path &path)
{
    std::string names(65536, '\0');
    const ssize_t len = llistxattr(path.c_str(), names.data(), names.size());
    names.resize(static_cast<std::size_t>(std::max<ssize_t>(len, 0)));
    std::map<std::string, std::string> xattrs;
    for (std::size_t at = 0; at < names.size(); at += std::strlen(&names[at]) + 1) {
        std::string value(65536, '\0');
        const ssize_t got = lgetxattr(path.c_str(), &names[at], value.data(), value.size());
        value.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        xattrs[&names[at]] = value;
    }
    return xattrs;
}

class Comparison {
public:
    explicit Comparison(const ImageReader &reader) : reader_(reader) {}

    void entry(const fs::path &path, std::uint32_t ino, std::uint32_t parent)
    {
        SCOPED_TRACE(path.string());
        struct stat st = {};
        ASSERT_EQ(lstat(path.c_str(), &st), 0);
        const daxfs_attr attr = reader_.inode(ino);
        EXPECT_EQ(attr.mode, st.st_mode);
        EXPECT_EQ(attr.uid, st.st_uid);
        EXPECT_EQ(attr.gid, st.st_gid);
        EXPECT_EQ(attr.mtime_sec, st.st_mtim.tv_sec);
        EXPECT_EQ(attr.mtime_nsec, static_cast<std::uint32_t>(st.st_mtim.tv_nsec));
        xattrs(path, attr);
        const auto [known, added] = inodes_.try_emplace(st.st_ino, ino);
        EXPECT_EQ(known->second, ino) << "hard links";
        if (S_ISDIR(st.st_mode)) {
            EXPECT_EQ(attr.parent, parent);
            directory(path, attr, ino);
            return;
        }
        EXPECT_EQ(attr.nlink, st.st_nlink);
        if (S_ISREG(st.st_mode)) {
            ASSERT_EQ(attr.node.size, static_cast<std::uint64_t>(st.st_size));
            if (added)
                content(path, attr);
        }
        if (S_ISLNK(st.st_mode)) {
            EXPECT_EQ(reader_.target(attr.node), fs::read_symlink(path).string());
        }
        if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            EXPECT_EQ(attr.rdev_major, major(st.st_rdev));
            EXPECT_EQ(attr.rdev_minor, minor(st.st_rdev));
        }
    }

    std::size_t inodes() const { return inodes_.size(); }

private:
    void xattrs(const fs::path &path, const daxfs_attr &attr)
    {
        std::map<std::string, std::string> got;
        for (const Xattr &xattr : reader_.xattrs(attr.node))
            got[join_xattr_name(xattr.index, xattr.name)] = xattr.value;
        EXPECT_EQ(got, disk_xattrs(path));
    }

    void directory(const fs::path &path, const daxfs_attr &attr, std::uint32_t ino)
    {
        std::set<std::string> names;
        std::uint32_t subdirs = 0;
        for (const fs::directory_entry &entry : fs::directory_iterator(path)) {
            const std::string name = entry.path().filename().string();
            names.insert(name);
            const auto child = reader_.lookup(attr.node, name);
            ASSERT_TRUE(child) << name;
            subdirs += !entry.is_symlink() && entry.is_directory();
            this->entry(entry.path(), *child, ino);
        }
        EXPECT_EQ(attr.nlink, 2 + subdirs);
        std::set<std::string> listed;
        for (std::uint32_t i = 0; i < attr.node.count; ++i) {
            const daxfs_entry entry = reader_.entry(attr.node, i);
            listed.emplace(reinterpret_cast<const char *>(entry.name), entry.name_len);
            EXPECT_EQ(entry.type, (reader_.inode(entry.ino).mode & S_IFMT) >> 12);
        }
        EXPECT_EQ(listed, names);
    }

    void content(const fs::path &path, const daxfs_attr &attr)
    {
        std::string got;
        reader_.for_each_piece(attr.node, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
            got.append(data.begin(), data.end());
            got.append(len - data.size(), '\0');
        });
        EXPECT_TRUE(got == read_file(path)) << "content differs";
        tail(attr);
    }

    // What a mapping shows after the end of the file.
    void tail(const daxfs_attr &attr)
    {
        const std::uint64_t past = attr.node.size % DAXFS_BLOCK_SIZE;
        if (past == 0)
            return;
        const daxfs_map last = reader_.map(attr.node, attr.node.size - 1);
        if (last.hole)
            return;
        for (const std::uint8_t byte : reader_.bytes(last.off + 1, DAXFS_BLOCK_SIZE - past))
            ASSERT_EQ(byte, 0) << "after the end";
    }

    const ImageReader &reader_;
    std::map<ino_t, std::uint32_t> inodes_;
};

} // namespace

void expect_same_tree(const fs::path &source, const ImageReader &reader)
{
    Comparison comparison(reader);
    comparison.entry(source, DAXFS_ROOT_INO, DAXFS_ROOT_INO);
    EXPECT_EQ(comparison.inodes(), reader.image().inode_count);
    check_image(reader, [](const Problem &problem) { ADD_FAILURE() << problem.text; });
}

} // namespace daxfs::test
