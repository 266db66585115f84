// SPDX-License-Identifier: Apache-2.0
// Archives, container images, text and several sources give the image their tree gives.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>

#include "check_image.hpp"
#include "compare_tree.hpp"
#include "container_image.hpp"
#include "directory_source.hpp"
#include "mkdaxfs.hpp"
#include "shell.hpp"
#include "tree_fixture.hpp"
#include "unique_fd.hpp"
#include "uuid.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

// With all that a tar can say of a file.
const std::string pax = "--format=posix --xattrs --xattrs-include='*'";

class Sources : public TreeTest {
protected:
    ToolResult run(std::vector<std::string> args, const std::string &input = "") const
    {
        args.insert(args.begin(), image("other"));
        std::istringstream in(input);
        std::ostringstream out;
        std::ostringstream err;
        const int status = mkdaxfs_main(args, in, out, err);
        return {status, out.str(), err.str()};
    }

    void expect_same_image(const std::vector<std::string> &args, const std::string &input = "") const
    {
        const ToolResult result = run(args, input);
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_TRUE(read_file(image("other")) == read_file(image())) << args[0];
    }

    void expect_error(const ToolResult &result, const std::string &part) const
    {
        EXPECT_EQ(result.status, 1);
        EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
        EXPECT_FALSE(fs::exists(image("other")));
    }

    void tar(const std::string &name, const std::string &options) const
    {
        ASSERT_EQ(shell("tar -C " + source().string() + " --numeric-owner -cf " + (root() / name).string() +
                        " " + options + " ."),
                  "");
    }

    void make_tree() const
    {
        add_file("dir/file", noise(10000, 1));
        fs::create_hard_link(source() / "dir/file", source() / "a-link");
        for (const std::string name :
             {"new\nline", "quote\"'", "\xff\xfe", "\xc3\xbc", "u\xcc\x88", "back\\slash", "%41"}) {
            add_file("odd/" + name, name);
            add_file("odd/" + std::string(120, 'o') + name, name);
        }
        fs::create_symlink("dir/\xff", source() / "symlink");
        add_file("long/" + std::string(200, 'l') + "/" + std::string(200, 'm'), "long");
        add_file("large", noise(3 << 20, 2));
        const fs::path holes = add_file("holes", noise(5000, 3));
        fs::resize_file(holes, 10 << 20);
        ASSERT_EQ(mkfifo((source() / "fifo").c_str(), 0600), 0);
        ASSERT_EQ(chmod(add_file("setuid", "s").c_str(), 04755), 0);
        if (setxattr((source() / "dir").c_str(), "user.test", "a\0b", 3, 0) != 0)
            std::puts("no user xattrs on this filesystem, not tried");
        set_mtime("dir/file", 1234567890, 123456789);
        set_mtime("large", 5000000000, 1);
        set_mtime("setuid", -7, 0);
        set_mtime("dir", 77, 5);
    }
};

TEST_F(Sources, TarIsTheSameAsItsDirectory)
{
    make_tree();
    make();
    tar("plain.tar", pax);
    tar("sparse.tar", pax + " --sparse");
    tar("gz.tar", pax + " -z");
    tar("xz.tar", pax + " -J");
    for (const char *name : {"plain.tar", "sparse.tar", "gz.tar", "xz.tar"})
        expect_same_image({"--tar", root() / name});
    expect_same_image({"--tar", "-"}, read_file(root() / "plain.tar"));
    expect_same_image({"--tar", "-", "--threads", "1"}, read_file(root() / "gz.tar"));
}

// The group permissions of a mode are the mask of the ACL, not what the owning group has.
TEST_F(Sources, TarWithAcls)
{
    const fs::path file = add_file("file", "x");
    const fs::path dir = add_file("dir/x", "y").parent_path();
    const auto entry = [](int tag, int permissions, std::uint32_t id = 0xffffffff) {
        std::string text = {static_cast<char>(tag), 0, static_cast<char>(permissions), 0};
        return text.append(reinterpret_cast<const char *>(&id), sizeof(id));
    };
    const std::string acl = std::string("\2\0\0\0", 4) + entry(1, 6) + entry(2, 6, 4711) + entry(4, 0) +
                            entry(16, 6) + entry(32, 0);
    for (const auto &[path, name] :
         {std::pair(file, "system.posix_acl_access"), std::pair(dir, "system.posix_acl_default"),
          std::pair(dir, "system.posix_acl_access")}) {
        if (setxattr(path.c_str(), name, acl.data(), acl.size(), 0) != 0)
            GTEST_SKIP() << "no ACLs on this filesystem";
    }
    make();
    EXPECT_EQ(attr_of(ImageReader(image()), "file").mode & 0777, 0660u);
    tar("acl.tar", pax + " --acls");
    expect_same_image({"--tar", root() / "acl.tar"});
}

TEST_F(Sources, GnuTarWithWholeSeconds)
{
    add_file("a/b", "x");
    add_file(std::string(150, 'n'), "long name");
    for (const std::string &path : std::vector<std::string>{"a/b", "a", std::string(150, 'n'), "."})
        set_mtime(path, 1000, 0);
    make();
    tar("gnu.tar", "--format=gnu");
    expect_same_image({"--tar", root() / "gnu.tar"});
}

// cpio "newc", the initramfs form: of a file with several names, the last has the content.
std::string cpio_entry(const std::string &name, int ino, int nlink, unsigned mode, const std::string &content)
{
    std::string entry =
        fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                    ino, mode, 0, 0, nlink, 0, content.size(), 8, 1, 0, 0, name.size() + 1, 0);
    const auto pad = [&] { entry.append((4 - entry.size() % 4) % 4, '\0'); };
    entry += name + '\0';
    pad();
    entry += content;
    pad();
    return entry;
}

TEST_F(Sources, CpioWithHardLinks)
{
    const std::string archive =
        cpio_entry("a", 5, 2, 0100644, "") + cpio_entry("b", 5, 2, 0100644, "content\n") +
        cpio_entry("c", 6, 1, 0100600, "c") + cpio_entry("l", 7, 2, 0120777, "a") +
        cpio_entry("m", 7, 2, 0120777, "a") + cpio_entry("p", 8, 2, 0010600, "") +
        cpio_entry("q", 8, 2, 0010600, "what no FIFO has") + cpio_entry("TRAILER!!!", 0, 1, 0, "");
    const ToolResult result = run({"--tar", "-"}, archive);
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "a"), "content\n");
    EXPECT_EQ(*reader.find("a"), *reader.find("b"));
    EXPECT_EQ(content_of(reader, "c"), "c");
    EXPECT_EQ(reader.target(attr_of(reader, "m").node), "a");
    EXPECT_EQ(*reader.find("p"), *reader.find("q"));
    EXPECT_EQ(check_image(reader, [](const Problem &problem) { ADD_FAILURE() << problem.text; }), 0u);
}

TEST_F(Sources, SymlinksHaveTheModeThatLinuxGivesThem)
{
    fs::create_symlink("x", source() / "link");
    tar("t.tar", pax + " --mode=0604");
    ASSERT_EQ(run({"--tar", root() / "t.tar"}).status, 0);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "link").mode, S_IFLNK | 0777u);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "").mode, S_IFDIR | 0604u);
    ASSERT_EQ(run({"--text", "-"}, "daxfs-text 1\nlnk /link target=x\nlnk /old target=x mode=644\n").status,
              0);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "link").mode, S_IFLNK | 0777u);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "old").mode, S_IFLNK | 0644u);
}

// Damage that leaves the compressed data readable is for its checksum to find, and what follows the archive
// is not lost without a word.
TEST_F(Sources, DamageThatOnlyAChecksumFinds)
{
    add_file("noise", noise(3 << 20, 7)); // stored as it is
    make();
    tar("t.tar", pax);
    const std::string plain = read_file(root() / "t.tar");
    std::string missing;
    for (const std::string program : {"gzip", "xz", "zstd", "lz4", "bzip2", "lzma"}) {
        if (!have_program(program)) {
            missing += " " + program;
            continue;
        }
        ASSERT_EQ(
            shell(program + " -q <" + (root() / "t.tar").string() + " >" + (root() / "packed").string()), "");
        std::string packed = read_file(root() / "packed");
        expect_same_image({"--tar", "-"}, packed);
        fs::remove(image("other"));
        expect_error(run({"--tar", "-"}, packed + "more than this"), "cannot read the archive -: ");
        expect_error(run({"--tar", "-"}, packed.substr(0, packed.size() - 4)), "cannot read the archive -: ");
        if (program == "lzma")
            continue; // it has no checksum
        packed[packed.size() / 2] ^= 4;
        expect_error(run({"--tar", "-"}, packed), "cannot read the archive -: ");
    }
    ASSERT_EQ(shell("cd " + root().string() +
                    " && head -c 1000000 t.tar | gzip -q >two && tail -c +1000001 t.tar | gzip -q >>two && "
                    "head -c 5000 /dev/zero >>two"),
              "");
    expect_same_image({"--tar", root() / "two"});
    expect_same_image({"--tar", "-"}, plain + std::string(100000, '\0'));
    fs::remove(image("other"));
    expect_error(run({"--tar", "-"}, plain + plain),
                 "archive -: wanted nothing after its end, got more bytes");
    const std::string cpio = cpio_entry("early", 1, 1, 0100644, "e") + cpio_entry("TRAILER!!!", 0, 1, 0, "");
    expect_error(run({"--tar", "-"}, cpio + std::string(512, '\0') + cpio), "wanted nothing after its end");
    if (!missing.empty())
        GTEST_SKIP() << "not tried, since not installed:" << missing;
}

// A tar that was cut between two of its files has none of its blocks of zeros; a file's own zeros are none.
TEST_F(Sources, CutBetweenTwoFiles)
{
    add_file("a", "a");
    add_file("b", std::string(1024, '\0'));
    add_file("dir/c", "c");
    for (const std::string &options : {pax, std::string("--format=ustar"), std::string("--format=gnu")}) {
        tar("whole.tar", options + " -b1 --sort=name");
        const std::string whole = read_file(root() / "whole.tar");
        make();
        const std::size_t end = whole.find_last_not_of('\0') / 512 * 512 + 512;
        ASSERT_EQ(whole.size(), end + 1024);
        // POSIX wants two; one will do, as for others that read tars.
        EXPECT_EQ(run({"--tar", "-"}, whole.substr(0, end + 512)).status, 0);
        fs::remove(image("other"));
        expect_error(
            run({"--tar", "-"}, whole.substr(0, end)),
            "archive -: wanted blocks of zeros at its end, got none: it was cut, see what was to write it");
        const std::size_t c = whole.find("./dir/c");
        ASSERT_NE(c, whole.npos);
        if (options != pax)
            expect_error(run({"--tar", "-"}, whole.substr(0, c)), "it was cut");
    }
}

TEST_F(Sources, NoBytesAreNoArchive)
{
    expect_error(run({"--tar", "-"}), "wanted an archive, got no bytes");
    expect_error(run({"--tar", "/dev/null"}), "wanted an archive, got no bytes");
    // A zip says what its files are at its end, which a stream has not come to.
    expect_error(run({"--tar", "-"}, "PK\x03\x04" + std::string(60, '\0')), "cannot read the archive");
}

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

// The dialect's own way to say where holes are; holes or not, the data is the same.
TEST_F(Sources, GnuTarWithHoles)
{
    fs::resize_file(add_file("holes", noise(5000, 3)), 10 << 20);
    std::ofstream(source() / "holes", std::ios::in | std::ios::out | std::ios::binary).seekp(6 << 20)
        << noise(9000, 4);
    for (const std::string path : {"holes", "."})
        set_mtime(path, 1000, 0);
    make();
    tar("sparse.tar", "--format=gnu --sparse");
    ASSERT_LT(fs::file_size(root() / "sparse.tar"), 1u << 20);
    expect_same_image({"--tar", root() / "sparse.tar"});
}

TEST_F(Sources, CompressedArchives)
{
    make_tree();
    make();
    tar("plain.tar", pax);
    std::string missing;
    for (const std::string program : {"bzip2", "zstd", "lz4"}) {
        if (!have_program(program)) {
            missing += " " + program;
            continue;
        }
        const std::string file = root() / ("tar." + program);
        ASSERT_EQ(shell(program + " -q -c " + (root() / "plain.tar").string() + " >" + file), "");
        expect_same_image({"--tar", file});
    }
    if (!missing.empty())
        GTEST_SKIP() << "not tried, since not installed:" << missing;
}

TEST_F(Sources, NamesThatAreTooLong)
{
    add_file("file", "x");
    const std::string longest(255, 'n');
    for (const std::string &name : {longest, longest + "n"})
        ASSERT_EQ(shell("tar -C " + source().string() + " -cf " +
                        (root() / std::to_string(name.size())).string() + " --transform 's,file," + name +
                        ",' file"),
                  "");
    ASSERT_EQ(run({"--tar", root() / "255"}).status, 0);
    EXPECT_EQ(content_of(ImageReader(image("other")), longest), "x");
    fs::remove(image("other"));
    expect_error(run({"--tar", root() / "256"}), "name of 256 bytes");
}

TEST_F(Sources, DamagedArchives)
{
    make_tree();
    tar("x.tar", pax + " -z");
    const std::string all = read_file(root() / "x.tar");
    std::ofstream(root() / "cut.tar", std::ios::binary) << all.substr(0, all.size() / 2);
    expect_error(run({"--tar", root() / "cut.tar"}), "cut.tar: ");
    std::ofstream(root() / "noise.tar", std::ios::binary) << noise(100000, 1);
    expect_error(run({"--tar", root() / "noise.tar"}), "cannot read the archive");
    expect_error(run({"--tar", root() / "nothing.tar"}), "No such file");
    fs::remove_all(source());
    add_file("a", "a");
    add_file("b", "b");
    tar("plain.tar", "--format=ustar --sort=name");
    std::string plain = read_file(root() / "plain.tar");
    ++plain[plain.find("./b") + 10];
    expect_error(run({"--tar", "-"}, plain), "cannot read the archive -: Damaged tar archive");
    expect_error(run({"--tar", "-", "--text", "-"}), "standard input (-) once, got it twice");
}

TEST_F(Sources, PathsThatLeadOut)
{
    add_file("file", "x");
    ASSERT_EQ(shell("tar -C " + source().string() + " -cPf " + (root() / "up.tar").string() +
                    " --transform 's,file,../../file,' file"),
              "");
    expect_error(run({"--tar", root() / "up.tar"}), "wanted a path without \"..\", got /../../file");
    expect_error(run({"--text", "-"}, "daxfs-text 1\nlnk /l target=l\nreg /l/x\n"),
                 "more than 40 symbolic links");
    // A link that points out of the tree leads into it instead.
    ASSERT_EQ(
        run({"--text", "-"}, "daxfs-text 1\ndir /tmp\nlnk /l target=../../tmp\nreg /l/x size=0\n").status, 0);
    EXPECT_TRUE(ImageReader(image("other")).find("tmp/x"));
}

TEST_F(Sources, LaterOverEarlier)
{
    add_file("both/one", "1");
    add_file("both/two", "2");
    add_file("becomes-dir", "f");
    add_file("gone/deep/er", "x");
    const fs::path second = root() / "second";
    fs::create_directories(second / "both");
    fs::create_directories(second / "becomes-dir");
    std::ofstream(second / "both/two") << "changed";
    std::ofstream(second / "becomes-dir/inside") << "i";
    std::ofstream(second / "gone") << "a file now";
    fs::create_hard_link(second / "gone", second / "both/hard");
    ASSERT_EQ(chmod((second / "both").c_str(), 0711), 0);
    const ToolResult result = run({source(), second, "--pseudo", "-"}, "# devices\ndaxfs-text");
    EXPECT_EQ(result.status, 1);
    const ToolResult merged =
        run({source(), second, "--pseudo", "-"}, "daxfs-text 1\n# devices without being root\n"
                                                 "chr /dev/null mode=0666 dev=1:3\nremove /both/one\n"
                                                 "reg /motd mode=0600 uid=5 size=6\n+ aGVsbG8K\n");
    ASSERT_EQ(merged.status, 0) << merged.err;
    const ImageReader reader(image("other"));
    EXPECT_FALSE(reader.find("both/one"));
    EXPECT_EQ(content_of(reader, "both/two"), "changed");
    EXPECT_EQ(content_of(reader, "becomes-dir/inside"), "i");
    EXPECT_EQ(content_of(reader, "both/hard"), "a file now");
    EXPECT_EQ(attr_of(reader, "gone").nlink, 2u);
    EXPECT_EQ(attr_of(reader, "both").mode & 07777, 0711u);
    EXPECT_EQ(attr_of(reader, "dev/null").rdev_minor, 3u);
    EXPECT_EQ(content_of(reader, "motd"), "hello\n");
    EXPECT_EQ(attr_of(reader, "motd").uid, 5u);
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
        GTEST_SKIP() << "wanted root and mkfs.xfs (xfsprogs)";
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

TEST_F(Sources, TextErrorsNameTheLine)
{
    const auto error = [&](const std::string &text, const std::string &part) {
        expect_error(run({"--text", "-"}, text), part);
    };
    error("", "-, line 1: wanted \"daxfs-text 1\"");
    error("daxfs-text 1\nfile /x\n", "-, line 2: wanted reg, dir");
    error("daxfs-text 2\nreg /x\n",
          "-, line 3: wanted \"end\" as the last line, got the end of a text that was cut");
    error("daxfs-text 2\n", "-, line 2: wanted \"end\" as the last line");
    error("daxfs-text 2\nend\nreg /x\n", "-, line 3: wanted nothing after \"end\", got more");
    error("daxfs-text 1\nend\n", "-, line 2: wanted reg, dir");
    error("daxfs-text 1\nreg /x size=5\n+ aGVs\n", "wanted 5 bytes before this line, got 3");
    error("daxfs-text 1\nreg /x size=2\n+ aGVs\n", "more than the 2 bytes");
    error("daxfs-text 1\nreg /x size=3\n+ a-Vs\n", "wanted base64");
    error("daxfs-text 1\nreg /x mode=9\n", "wanted a number as mode, got 9");
    error("daxfs-text 1\nreg /%zz\n", "wanted bytes with %XX");
    error("daxfs-text 1\nlink /a /b\n", "line 2: hard link /a to /b: that is not in the tree");
    error("daxfs-text 1\nreg /a\nreg /a/b\n", "no directory");
    error("daxfs-text 1\nreg /d/a\nlink /d/c /d/a\nreg /d/a\nreg /d/c/b\n",
          "line 5: /d/c/b leads through /d/c, which is no directory");
    error("daxfs-text 1\nchr\n", "line 2: wanted a path after chr");
    error("daxfs-text 1\nreg /a\nremove /b\n",
          "line 3: wanted a path that an earlier source put there, got /b");
    error("daxfs-text 1\nreg /a\nremove /a\n",
          "line 3: wanted a path that an earlier source put there, got /a");
    error("daxfs-text 1\nreg /a xattr.user.=v\n", "line 2: wanted xattr.NAMESPACE.NAME=VALUE, got user.");
    error("daxfs-text 1\nremove\n", "line 2: wanted a path that an earlier source put there, got none");
    error("daxfs-text 1\nremove /../x\n", "line 2: wanted a path without \"..\", got /../x");
    error("daxfs-text 1\nlnk /a\n", "not 1 to 4095 bytes");
    error("daxfs-text 1\nreg /" + std::string(256, 'n') + "\n", "name of 256 bytes");
    error("daxfs-text 1\nreg /x size=99999999999999999999\n", "wanted a number as size");
    error("daxfs-text 1\nreg /x size=9223372036854775807\n0 9223372036854775807\n", "more than can be kept");
}

TEST_F(Sources, MappingOfOwnersTimesAndXattrs)
{
    const fs::path file = add_file("a/file", "x");
    add_file("a/b.tmp", "y");
    set_mtime("a/file", 5000, 5);
    if (setxattr(file.c_str(), "user.keep", "k", 1, 0) != 0 ||
        setxattr(file.c_str(), "user.drop", "d", 1, 0) != 0)
        GTEST_SKIP() << "no user xattrs on this filesystem";
    setenv("SOURCE_DATE_EPOCH", "4000", 1);
    const ToolResult result = run({source(), "--uid-offset", "100000", "--gid-offset", "7", "--xattr-exclude",
                                   "user.d*", "--exclude-regex", "a/.*\\.tmp$"});
    unsetenv("SOURCE_DATE_EPOCH");
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    const daxfs_attr attr = attr_of(reader, "a/file");
    EXPECT_EQ(attr.uid, 100000u + getuid());
    EXPECT_EQ(attr.gid, 7u + getgid());
    EXPECT_EQ(attr.mtime_sec, 4000);
    EXPECT_EQ(attr.mtime_nsec, 0u);
    EXPECT_FALSE(reader.find("a/b.tmp"));
    const auto xattrs = reader.xattrs(attr.node);
    ASSERT_EQ(xattrs.size(), 1u);
    EXPECT_EQ(xattrs[0].name, "keep");
    fs::remove(image("other"));
    expect_error(run({source(), "--exclude-regex", "("}), "wanted a regular expression");
}

TEST_F(Sources, ExcludeByGlob)
{
    for (const std::string path : {"d/file", "sub/d/file", "sub/keep.o", "top.o", "sub/name", "name"})
        add_file(path, path);
    const auto left = [&](const std::vector<std::string> &globs) {
        std::vector<std::string> args = {source()};
        for (const std::string &glob : globs)
            args.insert(args.end(), {"--exclude", glob});
        const ToolResult result = run(args);
        EXPECT_EQ(result.status, 0) << result.err;
        const ImageReader reader(image("other"));
        std::string paths;
        for (const std::string path : {"d", "sub/d", "sub/keep.o", "top.o", "sub/name", "name"})
            paths += reader.find(path) ? path + " " : "";
        return paths;
    };
    EXPECT_EQ(left({}), "d sub/d sub/keep.o top.o sub/name name ");
    EXPECT_EQ(left({"*.o", "d"}), "sub/name name ") << "names, wherever they are";
    EXPECT_EQ(left({"sub/*"}), "d top.o name ") << "a path";
    EXPECT_EQ(left({"/name", "*/d"}), "d sub/keep.o top.o sub/name ");
    EXPECT_EQ(left({"d/"}), "sub/keep.o top.o sub/name name ") << "as a shell completes it";
    EXPECT_EQ(left({"sub/d//"}), "d sub/keep.o top.o sub/name name ");
    EXPECT_EQ(left({"./d"}), "sub/d sub/keep.o top.o sub/name name ") << "below the root only";
    EXPECT_EQ(left({".//./d/", "./*.o"}), "sub/d sub/keep.o sub/name name ");
    for (const std::string name : {"sub//name", "sub/./name", "/sub/name/.", ".//sub//name"})
        EXPECT_EQ(left({name}), "d sub/d sub/keep.o top.o name ") << "as scripts join it";
    fs::remove(image("other"));
    for (const std::string glob : {"/", ".", "./", "//"})
        expect_error(run({source(), "--exclude", glob}),
                     "wanted a glob for what is below the root, got " + glob);
    for (const std::string glob : {"..", "../sub/name", "sub/../name"})
        expect_error(run({source(), "--exclude", glob}), "wanted a glob without \"..\", got " + glob);
}

// What is merged may give a directory's files names that the directory does not have.
TEST_F(Sources, ALabelCanBeTakenAway)
{
    const std::string text = "daxfs-text 1\nlabel name\n";
    ASSERT_EQ(run({"--text", "-"}, text).status, 0);
    EXPECT_STREQ(ImageReader(image("other")).image().label, "name");
    ASSERT_EQ(run({"--text", "-", "--label", ""}, text).status, 0);
    EXPECT_STREQ(ImageReader(image("other")).image().label, "");
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

class Containers : public Sources {
protected:
    // Tar a folder as the blob of a layer; what is in it is removed.
    std::string add_layer(const fs::path &layout) const
    {
        const fs::path blobs = layout / "blobs/sha256";
        fs::create_directories(blobs);
        tar("layer.tar", pax + " -z");
        const std::string sha256 = shell("sha256sum " + (root() / "layer.tar").string()).substr(0, 64);
        fs::rename(root() / "layer.tar", blobs / sha256);
        fs::remove_all(source());
        fs::create_directory(source());
        return sha256;
    }

    // One archive of single files, in this order, with the names they are to have.
    std::string add_layer_of(const std::vector<std::pair<std::string, std::string>> &files) const
    {
        std::string list;
        for (int i = 0; const auto &[name, content] : files) {
            const std::string number = std::to_string(++i);
            std::ofstream(root() / number) << content;
            list += " --transform 's,^" + number + "$," + name + ",' " + number;
        }
        fs::create_directories(layout_ / "blobs/sha256");
        EXPECT_EQ(shell("cd " + root().string() + " && tar -cf layer.tar" + list), "");
        const std::string sha256 = shell("sha256sum " + (root() / "layer.tar").string()).substr(0, 64);
        fs::rename(root() / "layer.tar", layout_ / "blobs/sha256" / sha256);
        return sha256;
    }

    std::string add_blob(const fs::path &layout, const std::string &text) const
    {
        std::ofstream(root() / "blob") << text;
        const std::string sha256 = shell("sha256sum " + (root() / "blob").string()).substr(0, 64);
        fs::rename(root() / "blob", layout / "blobs/sha256" / sha256);
        return sha256;
    }

    void three_layers()
    {
        add_file("etc/kept", "kept");
        add_file("etc/removed", "removed");
        add_file("opaque/lower", "l");
        add_file("opaque/sub/lower", "l");
        add_file("tree/x/y", "y");
        add_file("replaced", "a file");
        first_ = add_layer(layout_);
        add_file("etc/.wh.removed", "");
        add_file("opaque/.wh..wh..opq", "");
        add_file("opaque/upper", "u");
        add_file("opaque/sub/upper", "u");
        add_file(".wh.tree", "");
        add_file("replaced/inside", "now a directory");
        second_ = add_layer(layout_);
        add_file("tree/new", "n");
        add_file("tree/same", "kept");
        fs::create_symlink("etc", source() / "to-etc");
        third_ = add_layer(layout_);
        write_index({first_, second_, third_});
    }

    void write_index(const std::vector<std::string> &layers)
    {
        std::string list;
        for (const std::string &sha256 : layers)
            list += (list.empty() ? "" : ", ") + descriptor(sha256);
        const std::string manifest = add_blob(layout_, "{\"layers\": [" + list + "]}");
        std::ofstream(layout_ / "oci-layout") << "{\"imageLayoutVersion\": \"1.0.0\"}";
        std::ofstream(layout_ / "index.json")
            << "{\"manifests\": [{\"digest\": \"sha256:" << manifest
            << "\", \"annotations\": {\"org.opencontainers.image.ref.name\": \"v1\"}}]}";
    }

    // A manifest of one layer.
    std::string add_blob_of(const std::string &layer) const
    {
        return add_blob(layout_, "{\"layers\": [" + descriptor(layer) + "]}");
    }

    static std::string descriptor(const std::string &sha256)
    {
        return "{\"digest\": \"sha256:" + sha256 + "\"}";
    }

    void expect_three_layers()
    {
        const ImageReader reader(image("other"));
        EXPECT_EQ(content_of(reader, "etc/kept"), "kept");
        EXPECT_FALSE(reader.find("etc/removed"));
        EXPECT_FALSE(reader.find("etc/.wh.removed"));
        EXPECT_FALSE(reader.find("opaque/lower"));
        EXPECT_FALSE(reader.find("opaque/sub/lower"));
        EXPECT_TRUE(reader.find("opaque/sub/upper"));
        EXPECT_TRUE(reader.find("opaque/upper"));
        EXPECT_FALSE(reader.find("tree/x"));
        EXPECT_EQ(content_of(reader, "tree/new"), "n");
        EXPECT_EQ(content_of(reader, "tree/same"), "kept");
        EXPECT_EQ(attr_of(reader, "tree/same").node.data, attr_of(reader, "etc/kept").node.data)
            << "equal files of two layers are stored once where they are merged";
        EXPECT_EQ(content_of(reader, "replaced/inside"), "now a directory");
        EXPECT_EQ(reader.target(attr_of(reader, "to-etc").node), "etc");
    }

    fs::path layout_ = "";
    std::string first_;
    std::string second_;
    std::string third_;

    void SetUp() override
    {
        TreeTest::SetUp();
        layout_ = root() / "layout";
    }
};

TEST_F(Containers, LayersOfAnOciLayout)
{
    three_layers();
    for (const std::string &where : {layout_.string(), layout_.string() + ":v1"}) {
        const ToolResult result = run({"--oci", where});
        ASSERT_EQ(result.status, 0) << result.err;
        expect_three_layers();
    }
    const std::string bytes = read_file(image("other"));
    ASSERT_EQ(shell("tar -C " + layout_.string() + " -cf " + (root() / "layout.tar").string() + " ."), "");
    ASSERT_EQ(run({"--oci", (root() / "layout.tar").string() + ":v1"}).status, 0);
    EXPECT_TRUE(read_file(image("other")) == bytes);
    fs::remove(image("other"));
    expect_error(run({"--oci", layout_.string() + ":v2"}),
                 "wanted one image tagged v2, got 0; it has the tags v1");
}

TEST_F(Containers, ForSeveralPlatformsUnderLongNames)
{
    add_file("arm", "x");
    const std::string arm = add_blob_of(add_layer(layout_));
    add_file("riscv", "x");
    const std::string riscv = add_blob_of(add_layer(layout_));
    const auto platform = [](const std::string &manifest, const std::string &of) {
        return "{\"digest\": \"sha256:" + manifest + "\", \"platform\": {" + of +
               "}, \"annotations\": "
               "{\"org.opencontainers.image.ref.name\": \"docker.io/library/a:1\"}}";
    };
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << platform(arm, R"("os": "linux", "architecture": "arm64", "variant": "v8")")
        << ", " << platform(riscv, R"("os": "linux", "architecture": "riscv64")") << "]}";
    const std::string where = layout_.string();
    for (const std::string &name : {where, where + ":1", where + ":docker.io/library/a:1"}) {
        expect_error(run({"--oci", name}), "wanted one image for ");
        expect_error(run({"--oci", name, "--platform", "s390x"}),
                     "wanted one image for s390x, got 0; it has images for linux/arm64/v8, linux/riscv64: "
                     "choose by --platform");
        for (const std::string wanted : {"arm64", "linux/arm64", "linux/arm64/v8", "arm64/v8"}) {
            const ToolResult result = run({"--oci", name, "--platform", wanted});
            ASSERT_EQ(result.status, 0) << result.err;
            EXPECT_TRUE(ImageReader(image("other")).find("arm")) << wanted;
        }
        ASSERT_EQ(run({"--oci", name, "--platform", "riscv64"}).status, 0);
        EXPECT_TRUE(ImageReader(image("other")).find("riscv"));
        fs::remove(image("other"));
    }
    expect_error(run({"--oci", where + ":2"}),
                 "wanted one image tagged 2, got 0; it has the tags docker.io/library/a:1");
    // The plain one is meant, where there are variants of it, too.
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": ["
        << platform(arm, R"("os": "linux", "architecture": "riscv64", "variant": "v3")") << ", "
        << platform(riscv, R"("os": "linux", "architecture": "riscv64")") << ", "
        << platform(arm, R"("os": "windows", "architecture": "riscv64")") << "]}";
    for (const std::string wanted : {"linux/riscv64", "linux/riscv64/v3"}) {
        ASSERT_EQ(run({"--oci", where, "--platform", wanted}).status, 0);
        EXPECT_EQ(ImageReader(image("other")).find("riscv").has_value(), wanted == "linux/riscv64");
    }
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << platform(arm, R"("os": "linux", "architecture": "arm", "variant": "v7")")
        << ", " << platform(riscv, R"("os": "linux", "architecture": "arm")") << "]}";
#if defined(__x86_64__) || defined(__aarch64__)
    std::ofstream(root() / "index.json") << std::ifstream(layout_ / "index.json").rdbuf();
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << platform(arm, R"("architecture": "amd64")") << ", "
        << platform(riscv, R"("architecture": "arm64")") << "]}";
    EXPECT_EQ(run({"--oci", where}).status, 0) << "no system is named";
    fs::rename(root() / "index.json", layout_ / "index.json");
#endif
    for (const std::string wanted : {"linux/arm", "linux/arm/v7"}) {
        ASSERT_EQ(run({"--oci", where, "--platform", wanted}).status, 0);
        EXPECT_EQ(ImageReader(image("other")).find("riscv").has_value(), wanted == "linux/arm");
    }
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": ["
        << platform(riscv, R"("os": "linux", "architecture": "arm64", "variant": "v9")") << ", "
        << platform(arm, R"("os": "linux", "architecture": "arm64", "variant": "v8")") << "]}";
    ASSERT_EQ(run({"--oci", where, "--platform", "linux/arm64"}).status, 0);
    EXPECT_TRUE(ImageReader(image("other")).find("arm"));
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": ["
        << platform(arm, R"("os": "linux", "architecture": "riscv64", "variant": "v3")") << ", "
        << platform(riscv, R"("os": "linux", "architecture": "riscv64")") << ", "
        << platform(arm, R"("os": "windows", "architecture": "riscv64")") << "]}";
    fs::remove(image("other"));
    expect_error(run({"--oci", where, "--platform", "riscv64"}),
                 "wanted one image for riscv64, got 3; it has images for "
                 "linux/riscv64/v3, linux/riscv64, windows/riscv64: choose by --platform");
    EXPECT_EQ(run({source(), "--platform", "arm64"}).status, 2);
    EXPECT_EQ(run({"--oci", where, "--layers", "--uuid", std::string(32, '7')}).status, 2);
}

// As docker save writes an index beside its own manifest.json.
TEST_F(Containers, NamesOfDocker)
{
    const auto named = [&](const std::string &name) {
        add_file(name, "x");
        return "{\"digest\": \"sha256:" + add_blob_of(add_layer(layout_)) +
               "\", \"annotations\": {\"io.containerd.image.name\": "
               "\"docker.io/library/" +
               name + ":12\", \"org.opencontainers.image.ref.name\": \"12\"}}";
    };
    const std::string manifests = named("one") + ", " + named("other");
    std::ofstream(layout_ / "index.json") << "{\"manifests\": [" << manifests << "]}";
    for (const std::string name : {"one", "other"}) {
        for (const std::string front : {"", "library/", "docker.io/", "docker.io/library/"}) {
            const ToolResult result = run({"--oci", layout_.string() + ":" + front + name + ":12"});
            ASSERT_EQ(result.status, 0) << front << name << result.err;
            EXPECT_TRUE(ImageReader(image("other")).find(name));
        }
    }
    fs::remove(image("other"));
    for (const std::string name : {"12", "ne:12", "one"}) {
        expect_error(run({"--oci", layout_.string() + ":" + name}),
                     "wanted one image tagged " + name + ", got ");
        expect_error(run({"--oci", layout_.string() + ":" + name}),
                     "it has the tags docker.io/library/one:12, docker.io/library/other:12");
    }
    // The whole name counts before what others end with.
    const auto whole = [&](const std::string &name, const std::string &content) {
        add_file(content, "x");
        const std::string layer = add_layer(layout_);
        return std::pair("{\"digest\": \"sha256:" + add_blob_of(layer) +
                             "\", \"annotations\": "
                             "{\"org.opencontainers.image.ref.name\": \"" +
                             name + "\"}}",
                         "{\"RepoTags\": [\"" + name + "\"], \"Layers\": [\"blobs/sha256/" + layer + "\"]}");
    };
    const auto here = whole("app:1", "here");
    const auto there = whole("localhost:5000/app:1", "there");
    std::ofstream(layout_ / "index.json")
        << "{\"manifests\": [" << there.first << ", " << here.first << ", " << manifests << "]}";
    for (const bool of_docker : {false, true}) {
        for (const std::string name : {"app:1", "localhost:5000/app:1"}) {
            ASSERT_EQ(run({"--oci", layout_.string() + ":" + name}).status, 0) << name;
            EXPECT_EQ(ImageReader(image("other")).find("here").has_value(), name == "app:1");
        }
        fs::remove(image("other"));
        expect_error(run({"--oci", layout_}),
                     of_docker ? "wanted one image, got 2" : "wanted one image, got 4");
        fs::remove(layout_ / "index.json");
        std::ofstream(layout_ / "manifest.json") << "[" << there.second << ", " << here.second << "]";
    }
}

// An index need not have platforms: skopeo, umoci and docker save write them to the configuration alone.
TEST_F(Containers, ForAPlatformThatOnlyTheConfigurationNames)
{
    add_file("file", "x");
    const std::string layer = add_layer(layout_);
    const std::string config =
        add_blob(layout_, R"({"os": "linux", "architecture": "arm64", "variant": "v8"})");
    const std::string manifest = add_blob(layout_, "{\"config\": " + descriptor(config) + ", \"layers\": [" +
                                                       descriptor(layer) + "]}");
    const std::string bare = add_blob_of(layer);
    const auto write_index_of = [&](const std::string &one) {
        std::ofstream(layout_ / "index.json") << "{\"manifests\": [" << descriptor(one) << "]}";
    };
    const auto expect_only_arm = [&] {
        EXPECT_EQ(run({"--oci", layout_}).status, 0);
        EXPECT_EQ(run({"--oci", layout_, "--platform", "linux/arm64"}).status, 0);
        fs::remove(image("other"));
        expect_error(run({"--oci", layout_, "--platform", "riscv64"}),
                     "wanted an image for riscv64, got one for linux/arm64/v8");
    };
    write_index_of(manifest);
    expect_only_arm();
    write_index_of(bare);
    expect_error(run({"--oci", layout_, "--platform", "arm64"}),
                 "wanted an image for arm64, got one for no platform");
    fs::remove(layout_ / "index.json");
    std::ofstream(layout_ / "manifest.json") << "[{\"Config\": \"blobs/sha256/" << config
                                             << "\", \"Layers\": [\"blobs/sha256/" << layer << "\"]}]";
    ASSERT_EQ(run({"--oci", layout_, "--platform", "riscv64"}).status, 1);
    // Without a variant, arm64 is v8.
    const std::string plain = add_blob(layout_, R"({"os": "linux", "architecture": "arm64"})");
    write_index_of(add_blob(layout_, "{\"config\": " + descriptor(plain) + ", \"layers\": [" +
                                         descriptor(layer) + "]}"));
    for (const std::string wanted : {"arm64", "arm64/v8", "linux/arm64/v8", "linux"})
        EXPECT_EQ(run({"--oci", layout_, "--platform", wanted}).status, 0) << wanted;
    fs::remove(image("other"));
    expect_error(run({"--oci", layout_, "--platform", "arm64/v9"}),
                 "wanted an image for arm64/v9, got one for linux/arm64");
}

TEST_F(Containers, AnImageForEachLayer)
{
    three_layers();
    const ToolResult result = run({"--layers", "--oci", layout_});
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader lowest(root() / "other.1");
    EXPECT_EQ(content_of(lowest, "etc/removed"), "removed");
    EXPECT_EQ(content_of(lowest, "replaced"), "a file");
    const ImageReader middle(root() / "other.2");
    const daxfs_attr whiteout = attr_of(middle, "etc/removed");
    EXPECT_EQ(whiteout.mode & S_IFMT, unsigned{S_IFCHR});
    EXPECT_EQ(whiteout.rdev_major + whiteout.rdev_minor, 0u);
    EXPECT_EQ(attr_of(middle, "tree").mode & S_IFMT, unsigned{S_IFCHR});
    const auto xattrs = middle.xattrs(attr_of(middle, "opaque").node);
    ASSERT_EQ(xattrs.size(), 1u);
    EXPECT_EQ(join_xattr_name(xattrs[0].index, xattrs[0].name) + "=" + xattrs[0].value,
              "trusted.overlay.opaque=y");
    EXPECT_FALSE(middle.find("opaque/.wh..wh..opq"));
    const ImageReader highest(root() / "other.3");
    EXPECT_EQ(content_of(highest, "tree/new"), "n");
    EXPECT_FALSE(fs::exists(root() / "other.4"));
    EXPECT_EQ(run({"--layers", source()}).status, 2);
}

// What a layer says nothing of looks as it does below; whiteouts hide what is below, never what the
// layer has itself, in whatever order they come.
TEST_F(Containers, LayersOverOthers)
{
    add_file("etc/a", "a");
    add_file("both/old", "o");
    add_file("gone/x", "x");
    add_file("dir/old", "o");
    add_file("lost/sub/old", "o");
    add_file("usr/lib/a", "a");
    fs::create_symlink("usr/lib", source() / "lib");
    for (const char *name : {"etc", "both", "lost", "lost/sub", "usr/lib"}) {
        ASSERT_EQ(chmod((source() / name).c_str(), 0701), 0);
        set_mtime(name, 1234, 5);
    }
    chmod(source().c_str(), 0711);
    set_mtime(".", 4321, 0);
    first_ = add_layer(layout_);

    second_ = add_layer_of({{"etc/b", "b"},
                            {"gone", "now a file"},
                            {"gone/.wh.x", ""},
                            {"both/.wh..wh..opq", ""},
                            {"new", "n"},
                            {".wh.new", ""},
                            {"dir/f", "f"},
                            {".wh.dir", ""},
                            {".wh.lost", ""},
                            {"lib/sub/f", "s"},
                            {"lib/.wh.a", ""},
                            {"both/.wh.old", ""},
                            {"both/sub/.wh.old", ""},
                            {"fresh/f", "f"},
                            {"fresh/.wh.x", ""},
                            {"nowhere/.wh.x", ""},
                            {"lost/sub/.wh..wh..opq", ""},
                            {"never/.wh..wh..opq", ""},
                            {"both/deep/.wh..wh..opq", ""}});
    add_file("lost/sub/new", "n");
    ASSERT_EQ(shell("cd " + source().string() + " && tar -cf ../layer.tar lost/sub/new"), "");
    third_ = shell("sha256sum " + (root() / "layer.tar").string()).substr(0, 64);
    fs::rename(root() / "layer.tar", layout_ / "blobs/sha256" / third_);
    write_index({first_, second_, third_});

    const ToolResult result = run({"--layers", "--oci", layout_});
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(root() / "other.2");
    const auto is_opaque = [&](const char *path) {
        const auto xattrs = reader.xattrs(attr_of(reader, path).node);
        return xattrs.size() == 1 && xattrs[0].name == "overlay.opaque";
    };
    for (const char *name : {"etc", "both", "usr/lib"}) {
        const daxfs_attr attr = attr_of(reader, name);
        EXPECT_EQ(attr.mode, S_IFDIR | 0701u) << name;
        EXPECT_EQ(attr.mtime_sec, 1234) << name;
        EXPECT_EQ(attr.mtime_nsec, 5u) << name;
    }
    EXPECT_EQ(attr_of(reader, "").mode, S_IFDIR | 0711u);
    EXPECT_EQ(attr_of(reader, "").mtime_sec, 4321);
    EXPECT_EQ(content_of(reader, "etc/b"), "b");
    EXPECT_FALSE(is_opaque("etc"));
    EXPECT_TRUE(is_opaque("both"));
    EXPECT_EQ(content_of(reader, "gone"), "now a file");
    EXPECT_EQ(content_of(reader, "new"), "n");
    EXPECT_TRUE(is_opaque("dir"));
    EXPECT_EQ(attr_of(reader, "lost").mode, unsigned{S_IFCHR});
    // Through the lower layer's symlink, which stays.
    EXPECT_FALSE(reader.find("lib"));
    EXPECT_EQ(content_of(reader, "usr/lib/sub/f"), "s");
    EXPECT_EQ(attr_of(reader, "usr/lib/a").mode, unsigned{S_IFCHR});
    // Where nothing shows through, overlayfs would show the whiteout itself.
    for (const char *path : {"both/old", "both/sub", "fresh/x", "nowhere", "never", "both/deep"})
        EXPECT_FALSE(reader.find(path)) << path;
    EXPECT_TRUE(reader.find("fresh/f"));
    // Made anew over the whiteout: it looks like nothing below.
    {
        const ImageReader highest(root() / "other.3");
        EXPECT_EQ(attr_of(highest, "lost/sub").mode, S_IFDIR | 0755u);
        EXPECT_EQ(attr_of(highest, "lost").mtime_sec, 0);
    }
    // What marks a directory as opaque is no attribute of the tree's.
    ASSERT_EQ(run({"--layers", "--oci", layout_, "--xattr-exclude", "*"}).status, 0);
    const ImageReader bare(root() / "other.2");
    EXPECT_EQ(bare.xattrs(attr_of(bare, "both").node).size(), 1u);
}

// What a whiteout or an opaque directory further up hides needs no whiteout of its own, which overlayfs would
// show; in whatever order they come.
TEST_F(Containers, WhiteoutsBelowWhatIsHidden)
{
    add_file("a/s/z", "z");
    ASSERT_EQ(chmod((source() / "a").c_str(), 0701), 0);
    first_ = add_layer(layout_);
    const auto second = [&](const std::vector<std::pair<std::string, std::string>> &files) {
        write_index({first_, add_layer_of(files)});
        const ToolResult result = run({"--layers", "--oci", layout_});
        EXPECT_EQ(result.status, 0) << result.err;
        return ImageReader(root() / "other.2");
    };
    const auto is_opaque = [](const ImageReader &reader, const char *path) {
        return reader.xattrs(attr_of(reader, path).node).size() == 1;
    };
    for (const bool opaque_first : {true, false}) {
        const ImageReader reader = opaque_first ? second({{"a/.wh..wh..opq", ""}, {"a/s/.wh.z", ""}})
                                                : second({{"a/s/.wh.z", ""}, {"a/.wh..wh..opq", ""}});
        EXPECT_TRUE(is_opaque(reader, "a"));
        EXPECT_FALSE(reader.find("a/s"));
        EXPECT_EQ(attr_of(reader, "a").mode, S_IFDIR | 0701u) << "it is still the lower layer's";
    }
    for (const char *slashes : {"a/", "./a//"}) {
        const ImageReader reader = second({{"a/s/.wh.z", ""}, {slashes + std::string(".wh.s"), ""}});
        EXPECT_EQ(attr_of(reader, "a/s").mode, unsigned{S_IFCHR});
    }
    {
        const ImageReader reader = second({{"a/s/q", "q"}, {"a/s/.wh.z", ""}, {"a/.wh.s", ""}});
        EXPECT_TRUE(is_opaque(reader, "a/s"));
        EXPECT_FALSE(reader.find("a/s/z"));
        EXPECT_EQ(content_of(reader, "a/s/q"), "q");
    }
    {
        const ImageReader reader = second({{".wh.a", ""}, {"a/new", "n"}});
        EXPECT_TRUE(is_opaque(reader, "a"));
        EXPECT_EQ(attr_of(reader, "a").mode, S_IFDIR | 0755u) << "the lower layer's is gone";
        ASSERT_EQ(run({"--oci", layout_}).status, 0);
        EXPECT_EQ(attr_of(ImageReader(image("other")), "a").mode, S_IFDIR | 0755u);
    }
}

// AUFS kept files for itself in its layers.
TEST_F(Containers, WhatUnionFilesystemsKeepForThemselves)
{
    add_file("kept/.wh..wh.plnk/1.2", "x");
    add_file(".wh..wh.aufs", "");
    fs::create_directory(source() / ".wh..wh.orph");
    add_file("kept/file", "f");
    first_ = add_layer(layout_);
    write_index({first_});
    ASSERT_EQ(run({"--oci", layout_}).status, 0);
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "kept/file"), "f");
    EXPECT_EQ(reader.image().inode_count, 3u);
    fs::remove(image("other"));
    for (const char *name : {"a/.wh.", "a/.wh..", "a/.wh..."}) {
        write_index({add_layer_of({{name, ""}})});
        expect_error(run({"--oci", layout_}), std::string("wanted a whiteout of a name, got /") + name);
    }
}

TEST_F(Containers, WhiteoutsAreNotExcludedByTheirNames)
{
    three_layers();
    for (const char *glob : {".*", ".wh.*", "*"}) {
        ASSERT_EQ(run({"--oci", layout_, "-x", glob}).status, 0);
        EXPECT_FALSE(ImageReader(image("other")).find("etc/removed")) << glob;
    }
}

TEST_F(Containers, LayersAreMadeAllOrNone)
{
    three_layers();
    std::ofstream(root() / "other.1") << "what was there";
    std::ofstream(layout_ / "blobs/sha256" / third_) << "no archive";
    const ToolResult result = run({"--layers", "--oci", layout_});
    EXPECT_EQ(result.status, 1);
    EXPECT_TRUE(result.err.starts_with("mkdaxfs: layer 3: ")) << result.err;
    EXPECT_EQ(read_file(root() / "other.1"), "what was there");
    std::set<std::string> left;
    for (const auto &entry : fs::directory_iterator(root()))
        left.insert(entry.path().filename());
    EXPECT_FALSE(left.contains("other.2"));
    for (const auto &name : left)
        EXPECT_FALSE(name.starts_with(".other")) << name;
}

TEST_F(Containers, LayersOfDockerSave)
{
    three_layers();
    fs::remove(layout_ / "index.json");
    std::ofstream(layout_ / "manifest.json") << "[{\"RepoTags\": [\"name:v1\"], \"Layers\": [\"blobs/sha256/"
                                             << first_ << "\", \"link/layer.tar\", "
                                             << "\"blobs/sha256/" << third_ << "\"]}]";
    fs::create_directory(layout_ / "link");
    fs::create_symlink("../blobs/sha256/" + second_, layout_ / "link/layer.tar");
    ASSERT_EQ(shell("tar -C " + layout_.string() + " -cf " + (root() / "save.tar").string() +
                    " manifest.json link blobs"),
              "");
    for (const std::string &where : {layout_.string(), (root() / "save.tar").string() + ":v1"}) {
        const ToolResult result = run({"--oci", where});
        ASSERT_EQ(result.status, 0) << result.err;
        expect_three_layers();
    }
    // What is in the layers is compared with what the configuration says of it, compressed or not.
    const auto diff_id = [&](const std::string &layer) {
        return "\"sha256:" +
               shell("gzip -dc <" + (layout_ / "blobs/sha256" / layer).string() + " | sha256sum")
                   .substr(0, 64) +
               "\"";
    };
    const auto run_with = [&](const std::string &ids) {
        std::ofstream(layout_ / "config.json") << "{\"rootfs\": {\"diff_ids\": [" << ids << "]}}";
        std::ofstream(layout_ / "manifest.json")
            << "[{\"Config\": \"config.json\", \"Layers\": [\"blobs/sha256/" << first_
            << "\", \"link/layer.tar\"]}]";
        fs::remove(image("other"));
        return run({"--oci", layout_});
    };
    EXPECT_EQ(run_with(diff_id(first_) + ", " + diff_id(second_)).status, 0);
    expect_error(run_with(diff_id(first_) + ", " + diff_id(third_)),
                 "link/layer.tar: wanted the SHA-256 " + diff_id(third_).substr(8, 64));
    expect_error(run_with(diff_id(first_)), "config.json: wanted 2 diff_ids, one for each layer, got 1");
    std::ofstream(layout_ / "manifest.json") << "[{\"Layers\": [\"../secret.tar\"]}]";
    fs::remove(image("other"));
    expect_error(run({"--oci", layout_}), "wanted a file inside the image");
}

TEST_F(Containers, DamagedImages)
{
    three_layers();
    const fs::path blob = layout_ / "blobs/sha256" / third_;
    const std::string bytes = read_file(blob);
    // Behind the archive's end, where only the digest can notice it.
    std::ofstream(blob, std::ios::binary | std::ios::app) << '\0';
    expect_error(run({"--oci", layout_}), "wanted the SHA-256 " + third_);
    // Also where reading ends, with one block of zeros, as the bytes do.
    const std::string layer = add_layer_of({{"file", "x"}});
    write_index({layer});
    EXPECT_EQ(run({"--oci", layout_}).status, 0);
    fs::remove(image("other"));
    const std::string archive = (layout_ / "blobs/sha256" / layer).string();
    for (const std::string size : {"1024", "1536", "2048"}) {
        for (const std::string compress : {"cat", "gzip", "xz", "zstd -q"}) {
            shell("head -c " + size + " " + archive + " | " + compress + " >" + (root() / "cut").string());
            fs::rename(archive, root() / "whole");
            fs::rename(root() / "cut", archive);
            expect_error(run({"--oci", layout_}), "wanted the SHA-256 " + layer);
            fs::rename(root() / "whole", archive);
        }
    }
    write_index({first_, second_, third_});
    // And where the archive cannot be read any more.
    std::ofstream(blob, std::ios::binary) << "no archive" << bytes.substr(10);
    expect_error(run({"--oci", layout_}), "wanted the SHA-256 " + third_);
    fs::remove(blob);
    expect_error(run({"--oci", layout_}), "No such file");
    std::ofstream(layout_ / "index.json") << "{\"manifests\": [{\"digest\": \"sha256:../../x\"}]}";
    expect_error(run({"--oci", layout_}), "wanted a sha256 digest");
    std::ofstream(layout_ / "index.json") << "[1, 2";
    expect_error(run({"--oci", layout_}), "wanted JSON");
    const auto manifest = [&](const std::string &text) {
        std::ofstream(layout_ / "index.json")
            << "{\"manifests\": [" << descriptor(add_blob(layout_, text)) << "]}";
    };
    manifest(R"({"layers": {"a": 1}})");
    expect_error(run({"--oci", layout_}), "wanted a list as layers, got something else");
    manifest(R"({"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}]})");
    expect_error(run({"--oci", layout_}), "wanted a layer that can be read, got one of type ");
    // One without layers is an empty tree, but not a file for each of them.
    manifest(R"({"layers": null})");
    EXPECT_EQ(run({"--oci", layout_}).status, 0);
    fs::remove(image("other"));
    expect_error(run({"--layers", "--oci", layout_}), "wanted an image with layers, it has none");
    fs::remove(layout_ / "index.json");
    for (const std::string image : {R"([{"Layers": "layer.tar"}])", R"([{"Layer": []}])"}) {
        std::ofstream(layout_ / "manifest.json") << image;
        expect_error(run({"--oci", layout_}), image.find("Layers") != image.npos
                                                  ? "wanted a list as Layers"
                                                  : "wanted an image with Layers");
    }
    fs::remove(layout_ / "manifest.json");
    expect_error(run({"--oci", layout_}), "neither is there");
}

// An image that another tool made and unpacked.
TEST_F(Containers, MadeByUmoci)
{
    if (!have_program("umoci"))
        GTEST_SKIP() << "umoci is not installed";
    const ContainerImage made = make_container_image(root());
    std::vector<std::string> args{"--oci", made.layout + ":v3"};
    args.insert(args.end(), made.owners.begin(), made.owners.end());
    const ToolResult result = run(args);
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "whole/new"), "new\n");
    expect_same_tree(made.unpacked, reader);
}

// The same image in skopeo's archives gives the same bytes.
TEST_F(Containers, MadeBySkopeo)
{
    if (!have_program("umoci") || !have_program("skopeo"))
        GTEST_SKIP() << "umoci or skopeo is not installed";
    const ContainerImage made = make_container_image(root());
    ASSERT_EQ(run({"--oci", made.layout + ":v3"}).status, 0);
    fs::rename(image("other"), image());
    for (const std::string form : {"docker-archive", "oci-archive"}) {
        const std::string archive = container_archive(made, form);
        for (const std::string tag : {"", ":v3"})
            expect_same_image({"--oci", archive + tag});
        fs::remove(image("other"));
        expect_error(run({"--oci", archive + ":v9"}), "v9");
    }
}

} // namespace

} // namespace daxfs::test
