// SPDX-License-Identifier: Apache-2.0
// daxfs-fuse shows what is in an image.
#include <cerrno>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare_tree.hpp"
#include "fuse_mount.hpp"
#include "memory_tree.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

using FuseTree = TreeTest;

// Every type, owner, namespace, and what lies beyond the sizes of requests.
daxtest::MemoryTree rich_tree()
{
    daxtest::MemoryTree tree;
    const std::string acl("\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\4\0\7\0\0\0\4\0\4\0\xff\xff\xff\xff"
                          "\x10\0\4\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff",
                          44);
    tree["file"] = {.mode = S_IFREG | 04751, .content = "content", .uid = 70000, .gid = 80000};
    tree["empty"] = {};
    tree["large"] = {.content = noise(5000001, 1)};
    tree["sparse"] = {.content = "start", .pieces = {{3 << 20, noise(5000, 2)}, {1 << 26, "end"}}};
    tree["null"] = {.mode = S_IFCHR | 0666, .major = 1, .minor = 3};
    tree["disk"] = {.mode = S_IFBLK | 0660, .gid = 6, .major = 259, .minor = 1000000};
    tree["fifo"] = {.mode = S_IFIFO | 0600};
    tree["socket"] = {.mode = S_IFSOCK | 0700};
    tree["link"] = {.mode = S_IFLNK | 0777, .content = "many/../file"};
    tree["long link"] = {.mode = S_IFLNK | 0777, .content = std::string(4095, 'x')};
    tree["sticky"] = {.mode = S_IFDIR | 01777, .uid = 5};
    tree["attributes"] = {.xattrs = {{"user.empty", ""},
                                     {"user.large", noise(60000, 3)},
                                     {"trusted.t", "t"},
                                     {"security.s", std::string("a\0b", 3)},
                                     {"system.posix_acl_access", acl}}};
    tree["default"] = {.mode = S_IFDIR | 0750, .xattrs = {{"system.posix_acl_default", acl}}};
    tree["long names/" + std::string(255, 'n')] = {.content = "n"};
    tree["long names/" + std::string(254, '\xc3') + "\n"] = {.content = "no UTF-8"};
    for (int i = 0; i < 5000; ++i)
        tree["many/a name of some length, number " + std::to_string(i)] = {.content = std::to_string(i)};
    std::string deep = "deep";
    for (int i = 0; i < 60; ++i)
        deep += "/d" + std::to_string(i);
    tree[deep] = {.content = "deep"};
    return tree;
}

TEST_F(FuseTree, IsTheImages)
{
    daxtest::make_image(rich_tree(), image());
    FuseMount mount(image(), root() / "mnt");
    expect_same_tree(mount.dir(), ImageReader(image()));
    const auto stat_of = [&](const char *name) {
        struct stat st = {};
        EXPECT_EQ(lstat((mount.dir() / name).c_str(), &st), 0) << name;
        return st;
    };
    EXPECT_EQ(stat_of("file").st_uid, 70000U);
    EXPECT_EQ(stat_of("file").st_blocks, 8);
    EXPECT_EQ(stat_of("disk").st_rdev, makedev(259, 1000000));
    EXPECT_EQ(stat_of("sparse").st_size, (1 << 26) + 3);
    EXPECT_LT(stat_of("sparse").st_blocks, 4096);
    EXPECT_EQ(read_file(mount.dir() / "link"), "content");
    EXPECT_EQ(mount.log(), "");
    EXPECT_EQ(mount.unmount(), 0);
}

// The tree on disk equals the image, and the image the mount; hard links are of the disk alone.
TEST_F(FuseTree, IsTheSources)
{
    add_file("dir/file", noise(100000, 4));
    fs::create_hard_link(source() / "dir/file", source() / "second name");
    fs::create_symlink("dir", source() / "link");
    fs::permissions(add_file("program", "#!/bin/sh\necho it runs\n"), fs::perms::all);
    set_mtime("dir/file", -1, 999999999);
    set_mtime("program", (1LL << 33), 1);
    make();
    expect_same_tree(source(), ImageReader(image()));
    FuseMount mount(image(), root() / "mnt");
    expect_same_tree(mount.dir(), ImageReader(image()));
    EXPECT_EQ(shell("diff -r --no-dereference " + source().string() + " " + mount.dir().string()), "");
    EXPECT_EQ(shell((mount.dir() / "program").string()), "it runs\n");
}

TEST_F(FuseTree, HasItsHoles)
{
    daxtest::make_image(rich_tree(), image());
    FuseMount mount(image(), root() / "mnt");
    const int fd = open((mount.dir() / "sparse").c_str(), O_RDONLY);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_HOLE), 4096);
    EXPECT_EQ(lseek(fd, 4096, SEEK_DATA), 3 << 20);
    EXPECT_EQ(lseek(fd, 3 << 20, SEEK_HOLE), (3 << 20) + 8192);
    EXPECT_EQ(lseek(fd, 1 << 26, SEEK_HOLE), (1 << 26) + 3);
    EXPECT_EQ(lseek(fd, (1 << 26) + 3, SEEK_DATA), -1);
    EXPECT_EQ(errno, ENXIO);
    close(fd);
}

TEST_F(FuseTree, TellsItsSize)
{
    daxtest::make_image(rich_tree(), image());
    FuseMount mount(image(), root() / "mnt");
    struct statvfs st = {};
    ASSERT_EQ(statvfs(mount.dir().c_str(), &st), 0);
    const ImageReader reader(image());
    EXPECT_EQ(st.f_bsize, 4096U);
    EXPECT_EQ(st.f_blocks, reader.image().size / 4096);
    EXPECT_EQ(st.f_files, reader.image().inode_count);
    EXPECT_EQ(st.f_namemax, 255U);
    EXPECT_EQ(st.f_bfree, 0U);
    EXPECT_TRUE(st.f_flag & ST_RDONLY);
}

// A position holds: each entry comes once, from wherever reading goes on.
TEST_F(FuseTree, ListsFromAnyPosition)
{
    daxtest::make_image(rich_tree(), image());
    FuseMount mount(image(), root() / "mnt");
    DIR *const dir = opendir((mount.dir() / "many").c_str());
    ASSERT_NE(dir, nullptr);
    std::vector<std::pair<long, std::string>> entries;
    std::set<std::string> names;
    for (long at = telldir(dir); const dirent *entry = readdir(dir); at = telldir(dir)) {
        entries.emplace_back(at, entry->d_name);
        EXPECT_TRUE(names.insert(entry->d_name).second) << entry->d_name;
    }
    EXPECT_EQ(entries.size(), 5002U);
    for (const std::size_t i : {0, 1, 2, 100, 4999, 5001}) {
        seekdir(dir, entries[i].first);
        const dirent *const entry = readdir(dir);
        ASSERT_NE(entry, nullptr);
        EXPECT_EQ(entry->d_name, entries[i].second);
    }
    closedir(dir);
}

TEST_F(FuseTree, AnswersForWhatIsNotThere)
{
    daxtest::make_image(rich_tree(), image());
    FuseMount mount(image(), root() / "mnt");
    const auto error_of = [&](const std::string &name, const char *xattr) {
        char value[10];
        return lgetxattr((mount.dir() / name).c_str(), xattr, value, sizeof(value)) < 0 ? errno : 0;
    };
    EXPECT_EQ(error_of("nothing", "user.x"), ENOENT);
    EXPECT_EQ(error_of(std::string(256, 'n'), "user.x"), ENAMETOOLONG);
    EXPECT_EQ(error_of("attributes", "user.none"), ENODATA);
    EXPECT_EQ(error_of("attributes", "user.empty"), 0);
    EXPECT_EQ(error_of("attributes", "user.large"), ERANGE);
    EXPECT_EQ(error_of("attributes", "user."), EINVAL);
    EXPECT_EQ(error_of("attributes", "system.other"), EOPNOTSUPP);
    EXPECT_EQ(error_of("attributes", "nothing.x"), EOPNOTSUPP);
    EXPECT_EQ(error_of("file", "system.posix_acl_access"), ENODATA);
    EXPECT_EQ(mount.log(), "");
}

// A handle is number and generation, both the image's: it outlives a mount, and means nothing to another.
TEST_F(FuseTree, HandlesOutliveAMount)
{
    add_file("dir/file", "content");
    make();
    add_file("dir/other", "other");
    make({}, "another");
    alignas(file_handle) char bytes[sizeof(file_handle) + 64] = {};
    auto *const handle = reinterpret_cast<file_handle *>(bytes);
    handle->handle_bytes = 64;
    int mount_id = 0;
    const auto open_in = [&](const fs::path &image) {
        FuseMount mount(image, root() / "mnt");
        if (handle->handle_type == 0 &&
            name_to_handle_at(AT_FDCWD, (mount.dir() / "dir/file").c_str(), handle, &mount_id, 0) != 0)
            return -errno;
        const int at = open(mount.dir().c_str(), O_RDONLY | O_DIRECTORY);
        const int fd = open_by_handle_at(at, handle, O_RDONLY);
        const int result = fd < 0 ? -errno : 0;
        close(fd);
        close(at);
        return result;
    };
    if (const int first = open_in(image()); first == -EPERM || first == -EOPNOTSUPP)
        GTEST_SKIP() << "handles are root's affair, or not this kernel's";
    else
        ASSERT_EQ(first, 0);
    EXPECT_EQ(open_in(image()), 0);
    EXPECT_EQ(open_in(image("another")), -ESTALE);
}

} // namespace

} // namespace daxfs::test
