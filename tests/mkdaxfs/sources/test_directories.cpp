// SPDX-License-Identifier: Apache-2.0
// Directories as sources: what changes meanwhile, clones, further names, labels.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare_tree.hpp"
#include "directory_source.hpp"
#include "mkdaxfs.hpp"
#include "shell.hpp"
#include "sources_fixture.hpp"
#include "tree_fixture.hpp"
#include "unique_fd.hpp"
#include "uuid.hpp"

namespace daxfs::test {

namespace {

TEST_F(Sources, ChangeOfADirectorysFileIsNoticed)
{
    const fs::path small = add_file("small", "one"), large = add_file("large", noise(1 << 20, 1));
    const Workers workers;
    DirectorySource source(this->source(), PathFilter());
    const auto tree = source.scan(workers);
    tree->finish(workers);
    const auto node = [&](const std::string &name) {
        for (NodeId id = 0; id < tree->nodes.size(); ++id)
            if (tree->path(id) == name)
                return id;
        throw std::runtime_error(name);
    };
    // Of the same size, and long enough after for every clock.
    const auto change = [](const fs::path &path) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::ofstream(path, std::ios::in | std::ios::out) << "two";
    };
    const auto open_small = source.open(*tree, node("small"));
    EXPECT_NO_THROW(open_small->check_unchanged());
    change(small);
    EXPECT_THROW(open_small->check_unchanged(), std::runtime_error);
    EXPECT_THROW(source.open(*tree, node("small")), std::runtime_error) << "changed since it was scanned";
    // A large file is opened piece by piece.
    EXPECT_NO_THROW(source.open(*tree, node("large"))->check_unchanged());
    EXPECT_NO_THROW(source.open(*tree, node("large")));
    change(large);
    EXPECT_THROW(source.open(*tree, node("large")), std::runtime_error);
}

// Bytes of a file that its filesystem shares with another.
std::uint64_t shared_bytes(const fs::path &file)
{
    constexpr unsigned most = 256;
    std::vector<std::byte> buffer(sizeof(fiemap) + most * sizeof(fiemap_extent));
    auto *map = reinterpret_cast<fiemap *>(buffer.data());
    map->fm_length = FIEMAP_MAX_OFFSET;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = most;
    const UniqueFd fd(open(file.c_str(), O_RDONLY));
    EXPECT_EQ(ioctl(fd.get(), FS_IOC_FIEMAP, map), 0) << strerror(errno);
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < map->fm_mapped_extents; ++i)
        if (map->fm_extents[i].fe_flags & FIEMAP_EXTENT_SHARED)
            bytes += map->fm_extents[i].fe_length;
    return bytes;
}

// On a filesystem that can, large files are cloned into the image instead of copied.
TEST_F(Sources, LargeFilesAreCloned)
{
    add_file("large", noise(9 << 20, 1));
    add_file("odd", noise((5 << 20) + 777, 2));
    add_file("small", noise(5000, 3));
    make();
    if (geteuid() != 0 || !have_program("mkfs.xfs"))
        GTEST_SKIP() << "expected root and mkfs.xfs (xfsprogs)";
    const std::string disk = root() / "disk";
    const std::string at = root() / "xfs";
    fs::create_directory(at);
    const std::string said = shell("truncate -s 400M " + disk + " && mkfs.xfs -q -m reflink=1 " + disk +
                                   " && mount -o loop " + disk + " " + at);
    if (!said.empty())
        GTEST_SKIP() << "cannot mount an XFS here: " << said;
    struct Unmount {
        std::string at;
        ~Unmount() { EXPECT_EQ(shell("umount " + at), ""); }
    } const unmount{at};
    ASSERT_EQ(shell("cp -a " + source().string() + " " + at + "/tree"), "");
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    ASSERT_EQ(mkdaxfs_main({at + "/image", at + "/tree"}, in, out, err), 0) << err.str();
    EXPECT_TRUE(read_file(at + "/image") == read_file(image()));
    // All but the last piece of the odd file, which ends within a block.
    EXPECT_EQ(shared_bytes(at + "/image"), 13u << 20);
}

TEST_F(Sources, FurtherNamesOfADirectorysFiles)
{
    add_file("a", "AAAA");
    add_file("b", "BBBB");
    add_file("usr/bin/vim", "vim");
    const std::string text =
        "daxfs-text 1\nlink /a /b\nlink /0 /b\nlink /bin/vi /usr/bin/vim\nlink /renamed /usr/bin/vim\n"
        "remove /usr/bin/vim\n";
    const ToolResult result = run({source(), "--pseudo", "-"}, text);
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    for (const char *name : {"a", "b", "0"})
        EXPECT_EQ(content_of(reader, name), "BBBB") << name;
    for (const char *name : {"bin/vi", "renamed"})
        EXPECT_EQ(content_of(reader, name), "vim") << name;
    EXPECT_FALSE(reader.find("usr/bin/vim"));
}

// A hard link to an excluded name is the file all the same: whatever the tree comes from, the image is one.
TEST_F(Sources, HardLinksToWhatIsExcluded)
{
    const std::string content = noise(10000, 1);
    add_file("a/first", content);
    for (const char *name : {"a/second", "third", "z"})
        fs::create_hard_link(source() / "a/first", source() / name);
    fs::create_symlink("a", source() / "a-symlink");
    fs::create_hard_link(source() / "a-symlink", source() / "b-symlink");
    make();
    const std::string text = dump({"--text"}).out;
    ASSERT_EQ(shell("cd " + source().string() + " && tar " + pax +
                    " --numeric-owner -cf ../links.tar --no-recursion "
                    ". a a/first a/second third z a-symlink b-symlink"),
              "");
    // Of a chain, the middle is excluded, too.
    const std::string chain = "daxfs-text 1\nreg /a size=3\n+ YWJj\nlink /b /./a\nlink /c b\nlink /d c\n";
    const std::vector<std::string> exclude = {"-x", "/a", "-x", "third", "-x", "a-symlink"};
    const auto with_exclude = [&](std::vector<std::string> args) {
        args.insert(args.end(), exclude.begin(), exclude.end());
        return args;
    };
    make(exclude);
    expect_same_image(with_exclude({"--tar", root() / "links.tar"}));
    {
        const ImageReader reader(image());
        expect_same_image(with_exclude({"--text", "-", "--uuid", show_uuid(reader.uuid())}), text);
        EXPECT_EQ(content_of(reader, "z"), content);
        EXPECT_EQ(attr_of(reader, "z").nlink, 1u);
        EXPECT_TRUE(reader.find("b-symlink"));
        EXPECT_FALSE(reader.find("a"));
    }
    ASSERT_EQ(run({"--text", "-", "-x", "a", "-x", "b", "-x", "c"}, chain).status, 0);
    EXPECT_EQ(content_of(ImageReader(image("other")), "d"), "abc");
    // Content that comes with the last name, which is excluded.
    const std::string cpio = cpio_entry("x", 5, 2, 0100644, "") + cpio_entry("y", 5, 2, 0100644, "late") +
                             cpio_entry("TRAILER!!!", 0, 1, 0, "");
    ASSERT_EQ(run({"--tar", "-", "-x", "y"}, cpio).status, 0);
    EXPECT_EQ(content_of(ImageReader(image("other")), "x"), "late");
    fs::remove(image("other"));
    expect_error(run({"--text", "-", "-x", "a"}, "daxfs-text 1\ndir /a\nlink /b /a\n"),
                 "/a: that is not in the tree");
}

TEST_F(Sources, EveryNameAFileOfItsOwn)
{
    add_file("a", noise(10000, 1));
    fs::create_hard_link(source() / "a", source() / "b");
    fs::create_symlink("x", source() / "l");
    fs::create_hard_link(source() / "l", source() / "m");
    ASSERT_EQ(run({source(), "--hard-dereference"}).status, 0);
    const ImageReader reader(image("other"));
    EXPECT_EQ(reader.image().inode_count, 5u);
    for (const char *name : {"a", "b", "l", "m"})
        EXPECT_EQ(attr_of(reader, name).nlink, 1u) << name;
    EXPECT_EQ(content_of(reader, "b"), noise(10000, 1));
    ASSERT_EQ(run({source()}).status, 0);
    EXPECT_EQ(ImageReader(image("other")).image().inode_count, 3u);
}

TEST_F(Sources, OneFileSystem)
{
    add_file("dir/mounted/under", "u");
    add_file("dir/beside", "b");
    const std::string at = source() / "dir/mounted";
    const std::string said = shell("mount -t tmpfs -o mode=0711 none " + at);
    if (!said.empty())
        GTEST_SKIP() << "cannot mount a tmpfs here: " << said;
    add_file("dir/mounted/inside/file", "i");
    const ToolResult all = run({source()});
    EXPECT_EQ(all.status, 0) << all.err;
    EXPECT_TRUE(ImageReader(image("other")).find("dir/mounted/inside/file"));
    const ToolResult one = run({source(), "--one-file-system"});
    EXPECT_EQ(one.status, 0) << one.err;
    // The root of a source may be a mount itself.
    const ToolResult merged = run({source(), at, "--one-file-system"});
    {
        const ImageReader reader(image("other"));
        EXPECT_EQ(merged.status, 0) << merged.err;
        EXPECT_TRUE(reader.find("inside/file") && reader.find("dir/mounted"));
        EXPECT_FALSE(reader.find("dir/mounted/inside") || reader.find("dir/mounted/under"));
        EXPECT_EQ(attr_of(reader, "dir/mounted").mode & 07777, 0711u) << "as it is seen";
    }
    EXPECT_EQ(shell("umount " + at), "");
}

// The labels that a file_contexts file gives are those that libselinux's own tool finds.
TEST_F(Sources, SelinuxLabels)
{
    const fs::path contexts = root() / "file_contexts";
    std::ofstream(contexts) << "/.*\tsystem_u:object_r:default_t:s0\n"
                               "/etc(/.*)?\tsystem_u:object_r:etc_t:s0\n"
                               "/etc/shadow\t--\tsystem_u:object_r:shadow_t:s0\n"
                               "/etc/[^/]*\\.d\t-d\tsystem_u:object_r:etc_dir_t:s0:c1,c2\n"
                               "/etc/link\t-l\tsystem_u:object_r:link_t:s0\n"
                               "/etc/alone(/.*)?\t<<none>>\n";
    add_file("etc/passwd", "p");
    add_file("etc/shadow", "s");
    add_file("etc/conf.d/shadow", "s");
    add_file("etc/alone/file", "a");
    add_file("a name\n", "n");
    fs::create_symlink("passwd", source() / "etc/link");
    fs::create_hard_link(source() / "etc/shadow", source() / "etc/zzz");
    // What it had before is replaced, and kept where there is no label.
    const bool had = lsetxattr((source() / "etc/passwd").c_str(), "security.selinux", "old", 4, 0) == 0 &&
                     lsetxattr((source() / "etc/alone/file").c_str(), "security.selinux", "old", 4, 0) == 0;
    const ToolResult result = run({"--file-contexts", contexts, source()});
    if (!DAXFS_HAVE_SELINUX)
        return expect_error(result, "built without libselinux");
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    const auto label = [&](const std::string &path) {
        std::string all;
        for (const auto &xattr : reader.xattrs(attr_of(reader, path).node))
            if (join_xattr_name(xattr.index, xattr.name) == "security.selinux")
                all += std::string(xattr.value) + '|';
        return all;
    };
    const auto labelled = [](const char *type) {
        return "system_u:object_r:" + std::string(type) + '\0' + '|';
    };
    EXPECT_EQ(label(""), labelled("default_t:s0"));
    EXPECT_EQ(label("etc"), labelled("etc_t:s0"));
    EXPECT_EQ(label("etc/passwd"), labelled("etc_t:s0"));
    EXPECT_EQ(label("etc/shadow"), labelled("shadow_t:s0"));
    EXPECT_EQ(label("etc/zzz"), label("etc/shadow")) << "one inode, one label: its first name's";
    EXPECT_EQ(label("etc/conf.d"), labelled("etc_dir_t:s0:c1,c2"));
    EXPECT_EQ(label("etc/conf.d/shadow"), labelled("etc_t:s0"));
    EXPECT_EQ(label("etc/link"), labelled("link_t:s0"));
    EXPECT_EQ(label("etc/alone"), "");
    EXPECT_EQ(label("etc/alone/file"), had ? std::string("old\0|", 5) : "");
    EXPECT_EQ(label("a name\n"), labelled("default_t:s0"));

    std::ofstream(root() / "wrong") << "fine.* system_u:object_r:a_t:s0\nbad\n[ x\n";
    EXPECT_EQ(run({"--file-contexts", root() / "wrong", source()}).err,
              "mkdaxfs: cannot read the file contexts " + (root() / "wrong").string() +
                  ":  line 2 is missing fields\n");
    EXPECT_EQ(run({"--file-contexts", root() / "nothing", source()}).err,
              "mkdaxfs: cannot read the file contexts " + (root() / "nothing").string() +
                  ": No such file or directory\n");
    if (!have_program("matchpathcon"))
        GTEST_SKIP() << "matchpathcon (selinux-utils) is not installed: its answers were not compared";
    const std::pair<const char *, const char *> all[] = {{"", "dir"},
                                                         {"etc", "dir"},
                                                         {"etc/passwd", "file"},
                                                         {"etc/shadow", "file"},
                                                         {"etc/conf.d", "dir"},
                                                         {"etc/conf.d/shadow", "file"},
                                                         {"etc/link", "lnk_file"}};
    for (const auto &[path, type] : all) {
        std::string said =
            shell("matchpathcon -N -n -m " + std::string(type) + " -f " + contexts.string() + " /" + path);
        ASSERT_FALSE(said.empty());
        said.back() = '\0';
        EXPECT_EQ(label(path), said + '|') << path;
    }
}

// --- container images ---------------------------------------------------------------

} // namespace

} // namespace daxfs::test
