// SPDX-License-Identifier: Apache-2.0
// Archives give the image their tree gives, or one line that says what is wrong with them.
#include <fstream>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>

#include "check_image.hpp"
#include "shell.hpp"
#include "sources_fixture.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

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

TEST_F(Sources, CpioThatIsNotWhole)
{
    const std::string one = cpio_entry("one", 1, 1, 0100644, "1");
    const std::string two = cpio_entry("two", 2, 1, 0100644, "2");
    const std::string end = cpio_entry("TRAILER!!!", 0, 1, 0, "");
    EXPECT_EQ(run({"--tar", "-"}, one + two + end).status, 0);
    fs::remove(image("other"));
    std::string odd = two;
    odd.replace(14, 8, "00zz00zz");
    for (const std::string &bad : {one + two, one + "JUNK" + two + end, one + "JUNKS" + two + end,
                                   one + odd + end, one + two.substr(0, two.size() - 3), one.substr(0, 60)}) {
        SCOPED_TRACE(fmt::format("{} bytes", bad.size()));
        expect_error(run({"--tar", "-"}, bad), "cannot read the archive -: ");
    }
    expect_error(run({"--tar", "-"}, one + "JUNK" + two + end), "expected the header of an entry ");
    expect_error(run({"--tar", "-"}, one + end + "more"), "expected nothing after its end, got more bytes");
    expect_error(run({"--tar", "-"}, cpio_entry("one", 1, 1, 0170644, "") + end),
                 "/one: expected a file type that Linux has, got mode 170644");
    // The form with checksums, which libarchive does not compare.
    const auto summed = [&](unsigned sum) {
        return run({"--tar", "-"}, cpio_entry("one", 1, 1, 0100644, "ab", "070702", sum) +
                                       cpio_entry("link", 2, 1, 0120777, "one", "070702") +
                                       cpio_entry("TRAILER!!!", 0, 1, 0, "", "070702"));
    };
    EXPECT_EQ(summed('a' + 'b').status, 0);
    fs::remove(image("other"));
    expect_error(summed('a' + 'c'),
                 "archive -: /one: expected the checksum 000000c4, got 000000c3: it is damaged");
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
                 "archive -: expected nothing after its end, got more bytes");
    const std::string cpio = cpio_entry("early", 1, 1, 0100644, "e") + cpio_entry("TRAILER!!!", 0, 1, 0, "");
    expect_error(run({"--tar", "-"}, cpio + std::string(512, '\0') + cpio), "expected nothing after its end");
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
            "archive -: expected blocks of zeros at its end, got none: it was cut, see what was to write it");
        const std::size_t c = whole.find("./dir/c");
        ASSERT_NE(c, whole.npos);
        if (options != pax)
            expect_error(run({"--tar", "-"}, whole.substr(0, c)), "it was cut");
    }
}

TEST_F(Sources, NoBytesAreNoArchive)
{
    expect_error(run({"--tar", "-"}), "expected an archive, got no bytes");
    expect_error(run({"--tar", "/dev/null"}), "expected an archive, got no bytes");
    // A zip says what its files are at its end, which a stream has not come to.
    expect_error(run({"--tar", "-"}, "PK\x03\x04" + std::string(60, '\0')), "cannot read the archive");
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
    expect_error(run({"--tar", "-", "--text", "-"}), "standard input (-) once, got it twice", 2);
}

TEST_F(Sources, PathsThatLeadOut)
{
    add_file("file", "x");
    ASSERT_EQ(shell("tar -C " + source().string() + " -cPf " + (root() / "up.tar").string() +
                    " --transform 's,file,../../file,' file"),
              "");
    expect_error(run({"--tar", root() / "up.tar"}), "expected a path without \"..\", got /../../file");
    expect_error(run({"--text", "-"}, "daxfs-text 1\nlnk /l target=l\nreg /l/x\n"),
                 "more than 40 symbolic links");
    // A link that points out of the tree leads into it instead.
    ASSERT_EQ(
        run({"--text", "-"}, "daxfs-text 1\ndir /tmp\nlnk /l target=../../tmp\nreg /l/x size=0\n").status, 0);
    EXPECT_TRUE(ImageReader(image("other")).find("tmp/x"));
}

} // namespace

} // namespace daxfs::test
