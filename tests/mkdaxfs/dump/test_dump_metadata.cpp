// SPDX-License-Identifier: Apache-2.0
// Owners, rights, times, names, xattrs and ACLs by --tar: kept, or said to be left out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "daxfs_format.h"
#include "image_reader.hpp"
#include "mkdaxfs.hpp"
#include "percent.hpp"
#include "shell.hpp"
#include "text_form.hpp"
#include "text_image.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

// Images of a few lines of text, as archives.
class TarOfText : public TextImage {
protected:
    // dump.daxfs --tar, of which mkdaxfs --tar makes the same image.
    std::string tar_of_same_image() const
    {
        const ToolResult tar = dump({"--tar"});
        EXPECT_EQ(tar.status, 0) << tar.err;
        std::istringstream in(tar.out);
        std::ostringstream out, err;
        EXPECT_EQ(mkdaxfs_main({image("again"), "--tar", "-"}, in, out, err), 0) << err.str();
        EXPECT_TRUE(read_file(image("again")) == read_file(image()));
        return tar.out;
    }
};

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

// GNU tar names what it does not know.
TEST_F(TarOfText, TarHasOnlyHeadersThatEveryTarKnows)
{
    make_of("reg /%C3%BC\nlnk /%D0%B6 target=%E6%BC%A2\nreg /x xattr.user.a-B_9.+@:~=v\n");
    const std::string tar = tar_of_same_image();
    EXPECT_TRUE(has(tar, "SCHILY.xattr.user.a-B_9.+@:~=v"));
    EXPECT_FALSE(has(tar, "hdrcharset"));
    EXPECT_FALSE(has(tar, "LIBARCHIVE"));
}

// That libarchive would write or read as others: not composed, surrogates, no UTF-8.
TEST_F(TarOfText, TarKeepsAllNames)
{
    for (const std::string name :
         {"u%CC%88", "%E1%84%80%E1%85%A1", "%EA%B0%80%E1%86%A8", "%E3%81%8B%E3%82%99", "%ED%A0%BD%ED%B8%80",
          "%FF%FE", "%E4A%80", "%C0%AF", "%F4%90%80%80"}) {
        make_of("reg /" + name + "\nlnk /link target=" + name + "\n");
        tar_of_same_image();
        make_of("dir /a\ndir /a/" + name + "\nreg /a/" + name + "/b\n");
        tar_of_same_image();
    }
}

// libarchive cuts the name in a sparse map where names are bytes.
TEST_F(TarOfText, TarKeepsNamesOfFilesWithHoles)
{
    const std::string block = "+ " + base64_encode(noise(4096, 1)) + "\n";
    std::string text = "reg /%ff\n";
    for (const std::string &name :
         {std::string(98, 'n') + "1", std::string(98, 'n') + "2", std::string(200, 'd') + "/file",
          std::string("\xc3\xbc"), std::string("short")}) {
        if (name.find('/') != name.npos)
            text += "dir /" + name.substr(0, name.find('/')) + "\n";
        text += "reg /" + percent_encode(name) + " size=200000\n" + block + "0 195904\n";
    }
    make_of(text);
    tar_of_same_image();
}

TEST_F(TarOfText, TarOfManyXattrs)
{
    const auto file = [](const std::string &name, int count, std::size_t last) {
        std::string line = "reg " + name;
        for (int i = 0; i < count; ++i)
            line += fmt::format(" xattr.user.n{:03}={}", i, std::string(i + 1 < count ? 4096 : last, 'v'));
        return line + "\n";
    };
    make_of(file("/f", 253, 4096));
    tar_of_same_image();
    make_of(file("/all", 255, 4096) + "reg /last\n");
    const ToolResult tar = dump({"--tar"});
    EXPECT_EQ(tar.status, 1);
    EXPECT_TRUE(has(tar.err,
                    "dump.daxfs: /all: its extended attributes take 1052160 bytes of the archive, more than "
                    "the 1048576 that libarchive reads\n"))
        << tar.err;
    EXPECT_TRUE(has(tar.out, "./last")) << "the rest is not written";

    // The bound is that of libarchive's reader.
    std::size_t last = 4900;
    int status = 0;
    for (; status == 0 && last < 5000; ++last) {
        make_of(file("/f", 254, last));
        const ToolResult one = dump({"--tar"});
        status = one.status;
        std::istringstream in(one.out);
        std::ostringstream out, err;
        EXPECT_EQ(mkdaxfs_main({image("again"), "--tar", "-"}, in, out, err), status) << last;
    }
    EXPECT_EQ(status, 1);
}

struct AclEntry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id = 0xffffffff;
};

std::string acl(const std::vector<AclEntry> &entries)
{
    std::string value("\2\0\0\0", 4);
    value.append(reinterpret_cast<const char *>(entries.data()), entries.size() * sizeof(AclEntry));
    return value;
}

std::string in_text(const std::string &bytes)
{
    std::string text;
    for (const char byte : bytes)
        text += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
    return text;
}

constexpr AclEntry owner{1, 6}, user{2, 7, 123456}, group_of_it{4, 4}, group{8, 5, 2147483646}, mask{16, 7},
    other{32, 4};

// As GNU tar and bsdtar take them, and with numbers that are nobody's here.
TEST_F(TarOfText, TarGivesAclsToOtherTars)
{
    const std::string access = acl({owner, user, group_of_it, group, mask, other});
    const std::string inherited = acl({owner, group_of_it, other});
    const std::string ids = fmt::format(" uid={} gid={} ", geteuid(), getegid());
    make_of("dir /" + ids + "\nreg /f mode=0674" + ids +
            "xattr.user.x=y xattr.system.posix_acl_access=" + in_text(access) + "\ndir /d mode=0674" + ids +
            "xattr.system.posix_acl_access=" + in_text(access) +
            " xattr.system.posix_acl_default=" + in_text(inherited) + "\n");
    const std::string tar = tar_of_same_image();
    std::ofstream(root() / "tar", std::ios::binary) << tar;
    fs::create_directory(root() / "probe");
    if (setxattr((root() / "probe").c_str(), "system.posix_acl_access", access.data(), access.size(), 0) != 0)
        GTEST_SKIP() << "no ACLs on this filesystem";
    std::string missing;
    for (const std::string program : {"tar --acls", "tar --acls --xattrs --xattrs-include='*'", "bsdtar"}) {
        if (!have_program(program.substr(0, program.find(' ')))) {
            missing += " " + program;
            continue;
        }
        const fs::path out = root() / "unpacked";
        fs::remove_all(out);
        fs::create_directory(out);
        EXPECT_EQ(shell(program + " -xpf " + (root() / "tar").string() + " -C " + out.string()), "");
        const auto value = [&](const std::string &path, const char *name) {
            char bytes[1024];
            const ssize_t got = getxattr((out / path).c_str(), name, bytes, sizeof(bytes));
            return std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        };
        EXPECT_EQ(value("f", "system.posix_acl_access"), access) << program;
        EXPECT_EQ(value("d", "system.posix_acl_access"), access) << program;
        EXPECT_EQ(value("d", "system.posix_acl_default"), inherited) << program;
    }
    if (!missing.empty())
        GTEST_SKIP() << "not tried, since not installed:" << missing;
}

// Those that the text of an archive's ACL, or libarchive, has no room for.
TEST_F(TarOfText, TarKeepsOtherAclsAsXattrs)
{
    const AclEntry far{2, 7, 4000000000}, near{2, 7, 5}, no_mask{16, 0};
    for (const std::string &access :
         {acl({owner, far, group_of_it, mask, other}), acl({owner, group_of_it, other}),
          acl({owner, user, near, group_of_it, mask, other}), acl({}),
          acl({owner, user, group_of_it, no_mask, other})}) {
        make_of("reg /f mode=0674 xattr.system.posix_acl_access=" + in_text(access) + "\n");
        const std::string tar = tar_of_same_image();
        EXPECT_TRUE(has(tar, "SCHILY.xattr.system.posix_acl_access"));
        EXPECT_FALSE(has(tar, "SCHILY.acl"));
    }
}

} // namespace

} // namespace daxfs::test
