// SPDX-License-Identifier: Apache-2.0
// What goes into an image comes out of it.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare_tree.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class RoundTrip : public TreeTest {
protected:
    void expect_round_trip(std::vector<std::string> options = {})
    {
        make(std::move(options));
        if (!HasFatalFailure())
            expect_same_tree(source(), ImageReader(image()));
    }
};

TEST_F(RoundTrip, EmptyDirectory)
{
    expect_round_trip();
}

TEST_F(RoundTrip, FilesOfManySizes)
{
    std::uint64_t seed = 0;
    for (const std::size_t size : {0, 1, 4095, 4096, 4097, 65536, 100000, 2097151, 2097152, 2097153, 5000000})
        add_file("dir/" + std::to_string(size), noise(size, ++seed));
    expect_round_trip();
    expect_round_trip({"--align", "4K"});
    expect_round_trip({"--align", "64K", "--threads", "1"});
    expect_round_trip({"--align", "1G", "--no-dedupe"});
}

TEST_F(RoundTrip, NamesOfAnyBytes)
{
    for (const std::string name :
         {"new\nline", "quote\"'", "\xff\xfe", "-rf", " ", "back\\slash", "...", "tab\t"})
        add_file(name + "/" + name, name);
    add_file(std::string(255, 'n'), "longest");
    add_file(std::string(255, '\x80'), "longest, not UTF-8");
    expect_round_trip();
}

TEST_F(RoundTrip, DeepPath)
{
    const int home = open(source().c_str(), O_RDONLY | O_DIRECTORY);
    int at = dup(home);
    for (int depth = 0; depth < 60; ++depth) {
        const std::string name(100, static_cast<char>('a' + depth % 26));
        ASSERT_EQ(mkdirat(at, name.c_str(), 0755), 0);
        const int next = openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
    }
    const int file = openat(at, "deep", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(write(file, "bottom", 6), 6);
    close(file);
    close(at);
    make();
    std::string path;
    for (int depth = 0; depth < 60; ++depth)
        path += std::string(100, static_cast<char>('a' + depth % 26)) + "/";
    EXPECT_EQ(content_of(ImageReader(image()), path + "deep"), "bottom");
    close(home);
}

TEST_F(RoundTrip, HardLinks)
{
    const fs::path first = add_file("z/first", "linked");
    fs::create_directory(source() / "a");
    for (int i = 0; i < 1000; ++i)
        fs::create_hard_link(first, source() / "a" / std::to_string(i));
    fs::create_symlink("first", source() / "z/link");
    fs::create_hard_link(source() / "z/link", source() / "z/link2");
    expect_round_trip();
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "z/first").nlink, 1001u);
    EXPECT_EQ(reader.find("a/999"), reader.find("z/first"));
}

TEST_F(RoundTrip, LinksOutsideTheTreeDoNotCount)
{
    fs::create_hard_link(add_file("inside", "x"), root() / "outside");
    make();
    EXPECT_EQ(attr_of(ImageReader(image()), "inside").nlink, 1u);
}

TEST_F(RoundTrip, Symlinks)
{
    fs::create_symlink("nowhere", source() / "dangling");
    fs::create_symlink("/absolute/../path", source() / "absolute");
    fs::create_symlink(std::string(4095, 't'), source() / "longest");
    fs::create_symlink("odd\n\xff", source() / "odd");
    expect_round_trip();
}

TEST_F(RoundTrip, Times)
{
    // Before 1970, after 2038, after 2106 (32 bits), with nanoseconds.
    const std::vector<std::pair<std::int64_t, long>> times = {
        {-1, 999999999}, {-2000000000, 1}, {0, 0}, {1LL << 31, 5}, {(1LL << 32) + 7, 123456789}};
    for (std::size_t i = 0; i < times.size(); ++i) {
        add_file(std::to_string(i), "t");
        set_mtime(std::to_string(i), times[i].first, times[i].second);
    }
    set_mtime(".", 1000000000, 250);
    expect_round_trip();
    EXPECT_EQ(attr_of(ImageReader(image()), "0").mtime_sec, -1);
    EXPECT_EQ(attr_of(ImageReader(image()), "4").mtime_sec, (1LL << 32) + 7);
}

TEST_F(RoundTrip, ModesAndSpecialFiles)
{
    for (const mode_t mode : {0, 0777, 04755, 02755, 01777})
        ASSERT_EQ(chmod(add_file("mode" + std::to_string(mode), "").c_str(), mode), 0);
    ASSERT_EQ(mkfifo((source() / "fifo").c_str(), 0600), 0);
    const int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    ASSERT_LT((source() / "sock").string().copy(address.sun_path, sizeof(address.sun_path)),
              sizeof(address.sun_path));
    ASSERT_EQ(bind(sock, reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
    close(sock);
    expect_round_trip();
}

TEST_F(RoundTrip, OwnersAndDevices)
{
    if (geteuid() != 0)
        GTEST_SKIP() << "only root makes devices and gives files away";
    ASSERT_EQ(chown(add_file("high", "").c_str(), 70000, 4000000000u), 0);
    if (mknod((source() / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0)
        GTEST_SKIP() << "no device nodes on this filesystem";
    ASSERT_EQ(mknod((source() / "big").c_str(), S_IFBLK | 0600, makedev(4095, 1048575)), 0);
    expect_round_trip();
    EXPECT_EQ(attr_of(ImageReader(image()), "high").uid, 70000u);
}

TEST_F(RoundTrip, ExtendedAttributes)
{
    const fs::path file = add_file("file", "x");
    if (setxattr(file.c_str(), "user.one", "1", 1, 0) != 0)
        GTEST_SKIP() << "no extended attributes on this filesystem";
    ASSERT_EQ(setxattr(file.c_str(), "user.empty", "", 0, 0), 0);
    ASSERT_EQ(setxattr(file.c_str(), "user.binary", "a\0b\xff", 4, 0), 0);
    ASSERT_EQ(setxattr(source().c_str(), "user.root", "r", 1, 0), 0);
    const fs::path same = add_file("same", "y");
    const fs::path also = add_file("also", "z");
    for (const fs::path &path : {same, also})
        ASSERT_EQ(setxattr(path.c_str(), "user.equal", "set", 3, 0), 0);
    if (geteuid() == 0) {
        ASSERT_EQ(setxattr(file.c_str(), "trusted.t", "t", 1, 0), 0);
        // cap_net_raw+ep
        const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
        ASSERT_EQ(setxattr(file.c_str(), "security.capability", cap, sizeof(cap), 0), 0);
    }
    // u::rw- u:1000:r-- g::r-- m::r-- o::r--, version 2
    const unsigned char acl[] = {2, 0,    0,    0,    1,    0,    6,  0, 0xff, 0xff, 0xff, 0xff, 2,    0,   4,
                                 0, 0xe8, 3,    0,    0,    4,    0,  4, 0,    0xff, 0xff, 0xff, 0xff, 16,  0,
                                 4, 0,    0xff, 0xff, 0xff, 0xff, 32, 0, 4,    0,    0xff, 0xff, 0xff, 0xff};
    if (setxattr(file.c_str(), "system.posix_acl_access", acl, sizeof(acl), 0) != 0)
        std::puts("no ACLs on this filesystem, not tried");
    expect_round_trip();
    const ImageReader reader(image());
    EXPECT_EQ(attr_of(reader, "same").node.xattr, attr_of(reader, "also").node.xattr);
}

TEST_F(RoundTrip, ManyEntriesInOneDirectory)
{
    // Empty files with one inode keep this quick.
    constexpr int entries = 100000;
    const fs::path first = add_file("big/0", "");
    const int dir = open(first.parent_path().c_str(), O_RDONLY | O_DIRECTORY);
    for (int i = 1; i < entries; ++i) {
        const std::string name = std::to_string(i);
        const int fd = openat(dir, name.c_str(), O_WRONLY | O_CREAT, 0644);
        ASSERT_GE(fd, 0);
        close(fd);
    }
    close(dir);
    make();
    const ImageReader reader(image());
    const daxfs_attr big = attr_of(reader, "big");
    ASSERT_EQ(big.node.count, static_cast<std::uint32_t>(entries));
    for (int i = 0; i < entries; ++i)
        ASSERT_TRUE(reader.lookup(big.node, std::to_string(i))) << i;
    for (int i = entries; i < entries + 1000; ++i)
        ASSERT_FALSE(reader.lookup(big.node, std::to_string(i))) << i;
    for (std::uint32_t i = 1; i < big.node.count; ++i)
        ASSERT_LE(reader.entry(big.node, i - 1).hash, reader.entry(big.node, i).hash);
}

TEST_F(RoundTrip, Options)
{
    add_file("keep/a.txt", "a");
    add_file("keep/b.o", "b");
    add_file("skip/c", "c");
    make({"--all-root", "--mtime", "12345", "-x", "*.o", "-x", "/skip", "--label", "test", "--uuid",
          "00112233-4455-6677-8899-aabbccddeeff"});
    const ImageReader reader(image());
    EXPECT_FALSE(reader.find("keep/b.o"));
    EXPECT_FALSE(reader.find("skip"));
    const daxfs_attr kept = attr_of(reader, "keep/a.txt");
    EXPECT_EQ(kept.uid, 0u);
    EXPECT_EQ(kept.mtime_sec, 12345);
    EXPECT_EQ(reader.image().build_sec, 12345);
    EXPECT_STREQ(reader.image().label, "test");
    EXPECT_EQ(reader.image().uuid[1], 0x11);
    setenv("SOURCE_DATE_EPOCH", "777", 1);
    make({"--force-uid", "5", "--force-gid", "4000000000"}, "second");
    unsetenv("SOURCE_DATE_EPOCH");
    const ImageReader second(image("second"));
    EXPECT_EQ(second.image().build_sec, 777);
    EXPECT_EQ(attr_of(second, "skip/c").uid, 5u);
    EXPECT_EQ(attr_of(second, "skip/c").gid, 4000000000u);
}

} // namespace

} // namespace daxfs::test
