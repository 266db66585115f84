// SPDX-License-Identifier: Apache-2.0
// Attributes of what exists, changed by rules and by text; values that no mount could show.
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "build_image.hpp"
#include "mode_change.hpp"
#include "sources_fixture.hpp"
#include "text_source.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

TEST(ModeChange, AsChmodHasThem)
{
    const auto changed = [](const char *text, unsigned mode) {
        return static_cast<unsigned>(ModeChange(text).applied(static_cast<std::uint16_t>(mode)));
    };
    EXPECT_EQ(changed("0600", S_IFREG | 0755), S_IFREG | 0600u);
    EXPECT_EQ(changed("7777", S_IFDIR | 0), S_IFDIR | 07777u);
    EXPECT_EQ(changed("0755", S_IFDIR | 02700), S_IFDIR | 0755u) << "also of directories";
    for (const auto &[text, before, after] : {std::tuple("u+x", 0644u, 0744u),
                                              {"go-rwx", 0755, 0700},
                                              {"a=r", 0755, 0444},
                                              {"=", 07777, 0},
                                              {"+x", 0600, 0711},
                                              {"u=rwx,g=rx,o=", 0, 0750},
                                              {"u+s,g+s", 0755, 06755},
                                              {"+t", 0777, 01777},
                                              {"o+s", 0, 0},
                                              {"u+t", 0, 0},
                                              {"ug=rw-x+s", 0777, 06667},
                                              {"g=u", 0750, 0770},
                                              {"o=g-w", 0770, 0775},
                                              {"a+X", 0600, 0600},
                                              {"a+X", 0610, 0711},
                                              {"u=", 04755, 0055},
                                              {"ug+", 0600, 0600},
                                              {"g+o", 0602, 0622},
                                              {"u=g,g=u", 0750, 0550}})
        EXPECT_EQ(changed(text, S_IFREG | before), S_IFREG | after) << text;
    EXPECT_EQ(changed("a+X", S_IFDIR | 0600), S_IFDIR | 0711u);
    for (const char *wrong : {"", "u", "x+u", "u+q", "u+x,", ",u+x", "u x", "u+rg", "u+gr", "8", "0x7",
                              "17777", "-1", "u=a", "+X+g5"})
        EXPECT_THROW(ModeChange{wrong}, std::invalid_argument) << wrong;
}

// Against the program itself.
TEST_F(Sources, ModesAsChmodGivesThem)
{
    const fs::path file = add_file("file", "x");
    for (const std::string change :
         {"u+x,go-w", "a=rX", "g=u,o=g", "ug+s,o+t", "u-w+x", "a-x,u+X", "0640", "o=u-x"}) {
        for (const mode_t mode : {0644, 0755, 04711, 02070}) {
            ASSERT_EQ(chmod(file.c_str(), mode), 0);
            std::ofstream(root() / "rules") << "/file mode=" << change << '\n';
            ASSERT_EQ(run({source(), "--rules", root() / "rules"}).status, 0);
            ASSERT_EQ(shell("chmod " + change + " " + file.string()), "");
            struct stat st = {};
            ASSERT_EQ(stat(file.c_str(), &st), 0);
            EXPECT_EQ(attr_of(ImageReader(image("other")), "file").mode, st.st_mode) << change << " " << mode;
        }
    }
}

class RulesTest : public Sources {
protected:
    void SetUp() override
    {
        Sources::SetUp();
        for (const std::string path :
             {"etc/passwd", "etc/shadow", "usr/bin/su", "usr/lib/a.so", "usr/lib/deep/b.so"})
            ASSERT_EQ(chmod(add_file(path, path).c_str(), 0644), 0);
        fs::create_symlink("su", source() / "usr/bin/link");
        fs::create_hard_link(source() / "etc/passwd", source() / "usr/same");
        for (const char *dir : {"", "etc", "usr", "usr/bin"})
            ASSERT_EQ(chmod((source() / dir).c_str(), 0755), 0);
    }

    ToolResult with(const std::string &rules, std::vector<std::string> args = {}) const
    {
        args.insert(args.begin(), {source(), "--rules", "-", "-q"});
        return run(args, rules);
    }

    std::string xattrs_of(const std::string &path) const
    {
        const ImageReader reader(image("other"));
        std::string all;
        for (const auto &xattr : reader.xattrs(attr_of(reader, path).node))
            all += join_xattr_name(xattr.index, xattr.name) + "=" + std::string(xattr.value) + " ";
        return all;
    }
};

TEST_F(RulesTest, ChangeWhatTheyMatch)
{
    const ToolResult result = with("# who owns what\n"
                                   "/             mode=0711 uid=1\n"
                                   "\n"
                                   "**            gid=7\n"
                                   "  /etc/*      mode=go-r mtime=12.000000345\n"
                                   "*.so type=reg mode=+x uid=4294967294\n"
                                   "/usr/bin/**   type=lnk,dir uid=9\n"
                                   "bin           uid=10\n"
                                   "/usr/same     xattr.user.a=b%00c xattr.trusted.x=\n");
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    const auto mode = [&](const char *path) { return attr_of(reader, path).mode & 07777; };
    EXPECT_EQ(mode(""), 0711u);
    EXPECT_EQ(attr_of(reader, "").uid, 1u);
    EXPECT_EQ(attr_of(reader, "").gid, getgid()) << "the root is not below itself";
    EXPECT_EQ(attr_of(reader, "etc").gid, 7u);
    EXPECT_EQ(mode("etc"), 0755u);
    EXPECT_EQ(mode("etc/shadow"), 0600u);
    EXPECT_EQ(attr_of(reader, "etc/shadow").mtime_sec, 12);
    EXPECT_EQ(attr_of(reader, "etc/shadow").mtime_nsec, 345u);
    EXPECT_EQ(mode("usr/lib/deep/b.so"), 0755u);
    EXPECT_EQ(attr_of(reader, "usr/lib/a.so").uid, 4294967294u);
    EXPECT_EQ(attr_of(reader, "usr/bin/link").uid, 9u);
    EXPECT_EQ(attr_of(reader, "usr/bin/su").uid, getuid());
    EXPECT_EQ(attr_of(reader, "usr/bin").uid, 10u);
    EXPECT_EQ(content_of(reader, "etc/passwd"), "etc/passwd") << "its content stays";
    EXPECT_EQ(mode("usr/same"), 0600u) << "by its other name";
    EXPECT_EQ(xattrs_of("etc/passwd"), std::string("user.a=b\0c trusted.x= ", 22));
}

TEST_F(RulesTest, AllThatMatchInTheirOrder)
{
    ASSERT_EQ(
        with("/etc/passwd mode=0600 uid=1\n**/passwd uid=2 mode=u+x\n/usr/same mode=g+r\n/etc/passwd gid=3\n")
            .status,
        0);
    ASSERT_EQ(attr_of(ImageReader(image("other")), "etc/passwd").mode & 07777, 0740u);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "etc/passwd").uid, 2u);
    // After what options say of everything; a mode is no symlink's, unless the rule names its type.
    ASSERT_EQ(with("su uid=5\n** mtime=3 mode=0700\nlink type=lnk mode=0750\n",
                   {"--all-root", "--uid-offset", "100", "--mtime", "9"})
                  .status,
              0);
    const ImageReader reader(image("other"));
    EXPECT_EQ(attr_of(reader, "usr/bin/su").uid, 5u);
    EXPECT_EQ(attr_of(reader, "usr/bin/su").mtime_sec, 3);
    EXPECT_EQ(attr_of(reader, "").mtime_sec, 9);
    EXPECT_EQ(attr_of(reader, "etc").uid, 0u);
    EXPECT_EQ(attr_of(reader, "usr/bin/link").mode & 07777, 0750u);
    ASSERT_EQ(with("** mode=0700\n").status, 0);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "usr/bin/link").mode & 07777, 0777u);
}

TEST_F(RulesTest, ExtendedAttributes)
{
    const std::string text = "daxfs-text 1\nreg /a xattr.user.a=1 xattr.user.b=2 xattr.trusted.c=3\n"
                             "reg /b xattr.user.a=1\nreg /b%20c\n";
    std::ofstream(root() / "text") << text;
    const auto made = [&](const std::string &rules) {
        const ToolResult result = run({"--text", root() / "text", "--rules", "-"}, rules);
        EXPECT_EQ(result.status, 0) << result.err;
    };
    made("a no-xattr=user.* xattr.user.z=%3d\n* xattr.user.a=new\n");
    EXPECT_EQ(xattrs_of("a"), "user.a=new user.z== trusted.c=3 ");
    EXPECT_EQ(xattrs_of("b"), "user.a=new ");
    made("a no-xattr=*\n/b%20c type=reg xattr.user.x=y\n");
    EXPECT_EQ(xattrs_of("a"), "");
    EXPECT_EQ(xattrs_of("b c"), "user.x=y ");
    // The same image as without them, byte for byte.
    std::ofstream(root() / "text") << "daxfs-text 1\nreg /a\nreg /b mode=0600 xattr.user.a=1\n";
    made("");
    const std::string plain = read_file(image("other"));
    std::ofstream(root() / "text") << "daxfs-text 1\nreg /a xattr.user.q=1\nreg /b\n";
    made("a no-xattr=user.q\nb xattr.user.a=1 mode=0600\n");
    EXPECT_TRUE(read_file(image("other")) == plain);
}

// As --xattr-exclude does: without it a layer would show what it hides.
TEST_F(RulesTest, OpaqueDirectoriesOfLayersStay)
{
    for (const bool keep : {false, true}) {
        std::istringstream text("daxfs-text 1\ndir /d xattr.trusted.overlay.opaque=y xattr.trusted.x=1\n");
        std::istringstream rules("** no-xattr=trusted.*\n");
        TextSource source(text, "-", PathFilter());
        BuildOptions options;
        options.rules.add(rules, "-");
        options.keep_opaque = keep;
        build_image(source, image("other"), options, {});
        EXPECT_EQ(xattrs_of("d"), keep ? "trusted.overlay.opaque=y " : "");
    }
}

TEST_F(RulesTest, Mistakes)
{
    const auto refused = [&](const std::string &rules, const std::string &why) {
        expect_error(with(rules), why);
    };
    refused("a uid=1\n\n/etc\n", "- line 3: expected something to change of /etc, got nothing");
    refused("a uid=1 color=red\n",
            "- line 1: expected type, mode, uid, gid, mtime, xattr.NAME or no-xattr, got color");
    refused("a uid\n", "- line 1: expected KEY=VALUE, got uid");
    refused("a uid=-1\n", "expected a number as uid, got -1");
    refused("a gid=4294967295\n", "expected a number to 4294967294 as gid, got 4294967295");
    refused("a mode=u+q\n", "expected a mode such as 0644 or u+x,go-w, got u+q");
    refused("a type=file uid=1\n", "expected some of reg, dir, lnk, chr, blk, fifo and sock, got file");
    refused("a mtime=1.5\n", "expected mtime=SECONDS.NANOSECONDS, got 1.5");
    refused("a xattr.nothing=1\n", "expected xattr.NAMESPACE.NAME=VALUE, got nothing");
    refused("a no-xattr=\n", "expected a glob for names of extended attributes, got none");
    refused("/../a uid=1\n", "expected a glob without \"..\"");
    refused("%zz uid=1\n", "expected bytes with %XX, got %zz");
    refused("a%00b uid=1\n", "expected bytes with %XX, got a%00b");
    expect_error(run({source(), "--rules", root() / "none"}), "No such file");
    expect_error(run({source(), "--rules", source()}), "Is a directory");
    const std::string list = add_file("list", "a uid=1\n");
    std::ostringstream err;
    std::istringstream in;
    EXPECT_EQ(mkdaxfs_main({list, source() / "etc", "--rules", list}, in, err, err), 1);
    EXPECT_NE(err.str().find("would replace " + list), std::string::npos) << err.str();
    const ToolResult told =
        run({source(), "--rules", "-"}, "/etc/passwd type=dir uid=1\n/nothing uid=1\nsu uid=1\n");
    EXPECT_EQ(told.status, 0);
    EXPECT_EQ(told.err,
              "mkdaxfs: nothing matches what --rules says: /etc/passwd (- line 1), /nothing (- line 2)\n");
}

// The right way where "reg" would make an empty file of it.
TEST_F(RulesTest, TextSetsAttributesOnly)
{
    fs::create_directory_symlink("usr/bin", source() / "bin");
    const ToolResult result =
        run({source(), "--pseudo", "-"}, "daxfs-text 1\n"
                                         "set /etc/passwd mode=0600 uid=3 xattr.user.a=b\n"
                                         "set /bin/su mode=u+s,go=rx gid=4 mtime=77\n"
                                         "set / mode=0700\n"
                                         "set /etc/passwd no-xattr=user.nothing\n"
                                         "set /usr/bin/link uid=6\n"
                                         "dir /new mode=u=rx,go=\nset /new uid=8\n");
    ASSERT_EQ(result.status, 0) << result.err;
    const ImageReader reader(image("other"));
    EXPECT_EQ(content_of(reader, "etc/passwd"), "etc/passwd");
    EXPECT_EQ(attr_of(reader, "usr/same").mode & 07777, 0600u);
    EXPECT_EQ(attr_of(reader, "etc/passwd").uid, 3u);
    EXPECT_EQ(attr_of(reader, "etc/passwd").nlink, 2u);
    EXPECT_EQ(xattrs_of("etc/passwd"), "user.a=b ");
    EXPECT_EQ(attr_of(reader, "usr/bin/su").mode & 07777, 04655u);
    EXPECT_EQ(attr_of(reader, "usr/bin/su").gid, 4u) << "through a symlink in front";
    EXPECT_EQ(attr_of(reader, "usr/bin/su").mtime_sec, 77);
    EXPECT_EQ(attr_of(reader, "").mode & 07777, 0700u);
    EXPECT_EQ(attr_of(reader, "usr/bin/link").uid, 6u) << "the symlink itself";
    EXPECT_EQ(attr_of(reader, "new").mode & 07777, 0500u);
    EXPECT_EQ(attr_of(reader, "new").uid, 8u);
    fs::remove(image("other"));
    const auto refused = [&](const std::string &line, const std::string &why) {
        expect_error(run({source(), "--pseudo", "-"}, "daxfs-text 1\n" + line + "\n"), "-, line 2: " + why);
    };
    refused("set /etc/nothing mode=0600", "expected a path that is there, got /etc/nothing");
    refused("set", "expected a path after set");
    refused("set /etc", "expected something to change of /etc, got nothing");
    refused("set /etc size=5", "unknown here: size");
    refused("set /etc mode", "expected KEY=VALUE, got mode");
    refused("set /../etc mode=0", "expected a path without \"..\"");
    EXPECT_EQ(
        run({source(), "-x", "passwd", "--pseudo", "-"}, "daxfs-text 1\nset /etc/passwd uid=1\n").status, 0)
        << "what is left out is not missed";
}

TEST_F(RulesTest, WhatNoMountShows)
{
    const auto refused = [&](const std::string &line, const std::string &why) {
        expect_error(run({"--text", "-"}, "daxfs-text 1\n" + line + "\n"), why);
    };
    refused("reg /a uid=4294967295", "-, line 2: expected a number to 4294967294 as uid, got 4294967295");
    refused("reg /a gid=4294967295", "-, line 2: expected a number to 4294967294 as gid, got 4294967295");
    const std::string name = "user." + std::string(251, 'n');
    refused("reg /a xattr." + name + "=v",
            "/a: the name of an extended attribute has 256 bytes, Linux has 255 at most: " + name);
    refused("lnk /a target=b xattr.user.c=d",
            "/a: Linux has no user.c on a lnk (--xattr-exclude leaves it out)");
    refused("fifo /a xattr.user.c=d", "/a: Linux has no user.c on a fifo");
    refused("reg /a xattr.user.c=d\nlink /b /a\nchr /c xattr.user.c=d", "/c: Linux has no user.c on a chr");
    std::string many = "reg /a";
    for (int i = 0; i < 400; ++i)
        many += " xattr.user." + std::string(160, 'n') + std::to_string(i + 1000) + "=";
    refused(many, "/a: the names of its 400 extended attributes have 68000 bytes, Linux lists 65536 at most");
    refused("chr /c dev=4096:1", "/c: the device's major number is 4096, Linux has 4095 at most");
    // What is told by options and by what streams bring.
    EXPECT_EQ(
        run({"--text", "-", "--xattr-exclude", "user.*"}, "daxfs-text 1\nfifo /a xattr.user.c=d\n").status,
        0);
    EXPECT_EQ(
        run({"--text", "-"}, "daxfs-text 1\nreg /a xattr." + name.substr(0, 255) + "=v uid=4294967294\n")
            .status,
        0);
    const std::string entry = cpio_entry("a", 1, 1, 0100644, "") + cpio_entry("TRAILER!!!", 0, 1, 0, "");
    std::string nobody = entry;
    nobody.replace(6 + 2 * 8, 8, "ffffffff");
    fs::remove(image("other"));
    expect_error(run({"--tar", "-"}, nobody), "/a: uid is 4294967295, Linux has 4294967294 at most");
    EXPECT_EQ(run({"--tar", "-", "--force-uid", "0"}, nobody).status, 0);
}

} // namespace

} // namespace daxfs::test
