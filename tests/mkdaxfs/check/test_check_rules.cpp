// SPDX-License-Identifier: Apache-2.0
// fsck.daxfs finds what docs/format.md forbids though every reader gets along with it, and mkdaxfs makes
// no such image.
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>

#include "acl.hpp"
#include "check_image.hpp"
#include "mkdaxfs.hpp"
#include "text_form.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

// One entry of an ACL, as the attribute's value has it.
std::string acl_entry(int tag, int permissions, std::uint32_t id = 0xffffffff)
{
    std::string entry = {static_cast<char>(tag), 0, static_cast<char>(permissions), 0};
    entry.append(reinterpret_cast<const char *>(&id), sizeof(id));
    return entry;
}

const std::string acl_head("\2\0\0\0", 4);
const std::string acl =
    acl_head + acl_entry(1, 6) + acl_entry(2, 4, 7) + acl_entry(4, 4) + acl_entry(16, 4) + acl_entry(32, 0);

// An image in memory whose fields are changed.
class Bytes {
public:
    explicit Bytes(std::string bytes) : bytes_(std::move(bytes)), reader_(span()) {}

    template <typename T> void set(std::uint64_t off, T value)
    {
        std::memcpy(bytes_.data() + off, &value, sizeof(value));
    }
    template <typename T> T get(std::uint64_t off) const
    {
        T value;
        std::memcpy(&value, bytes_.data() + off, sizeof(value));
        return value;
    }
    daxfs_attr attr(std::string_view path) const { return attr_of(reader_, path); }
    std::uint64_t inode(std::string_view path, std::size_t field) const
    {
        return reader_.image().inodes.off + (attr(path).node.ino - 1) * sizeof(daxfs_inode) + field;
    }
    std::uint64_t extent(std::string_view path, int index, std::size_t field) const
    {
        return attr(path).node.data + sizeof(daxfs_extent_list) + index * sizeof(daxfs_extent) + field;
    }
    std::uint64_t xattrs(std::string_view path) const
    {
        return reader_.image().xattrs.off + (attr(path).node.xattr - 1) * 8ULL;
    }
    std::string &bytes() { return bytes_; }

private:
    std::span<const std::uint8_t> span() const
    {
        return {reinterpret_cast<const std::uint8_t *>(bytes_.data()), bytes_.size()};
    }

    std::string bytes_;
    ImageReader reader_;
};

class CheckRules : public TreeTest {
protected:
    ToolResult make_from(const std::string &text, const std::vector<std::string> &options = {}) const
    {
        std::vector<std::string> args = {image(), "--text", "-"};
        args.insert(args.end(), options.begin(), options.end());
        std::istringstream in("daxfs-text 1\n" + text);
        std::ostringstream out;
        std::ostringstream err;
        const int status = mkdaxfs_main(args, in, out, err);
        return {status, out.str(), err.str()};
    }

    static std::string problems_of(std::string image)
    {
        mend_checksums(image);
        const ImageReader reader(
            std::span(reinterpret_cast<const std::uint8_t *>(image.data()), image.size()));
        std::string text;
        check_image(reader, [&](const Problem &problem) {
            text += (problem.path.empty() ? "" : problem.path + ": ") + problem.text + "\n";
        });
        return text;
    }
};

std::ptrdiff_t lines_of(const std::string &text, const std::string &part)
{
    std::istringstream lines(text);
    std::ptrdiff_t count = 0;
    for (std::string line; std::getline(lines, line);)
        count += line.find(part) != line.npos;
    return count;
}

#define SUPER(field) offsetof(daxfs_super, field)
#define INODE(path, field) bytes.inode(path, offsetof(daxfs_inode, field))

TEST_F(CheckRules, EachIsFound)
{
    const std::string zeros = "0 131072\n";
    const std::string block = "+ " + base64_encode(noise(4096, 1)) + "\n";
    std::string text =
        "label name\nreg /flat size=3\n+ YWJj\nreg /same size=3\n+ YWJj\nreg /other size=3\n+ YWJk\nreg "
        "/empty\n"
        "reg /list size=401408\n" +
        block + zeros + block + zeros + block + "0 126976\n" + "reg /tail size=262154\n" + block + zeros +
        "0 126976\n+ MDEyMzQ1Njc4OQ==\n"
        "lnk /link target=flat\nlnk /link2 target=othe\nfifo /fifo\nchr /chr dev=1:3\ndir /dir\ndir /many\n"
        "reg /acl xattr.system.posix_acl_access=" +
        percent_encode(acl) + " xattr.user.a=1 xattr.user.b=2\n";
    for (int i = 0; i < 200; ++i)
        text += "reg /many/" + std::to_string(i) + "\n";
    for (const bool digest : {false, true}) {
        const ToolResult made = make_from(text, {"--digest", digest ? "xxh3" : "none"});
        ASSERT_EQ(made.status, 0) << made.err;
        const std::string good = read_file(image());
        ASSERT_EQ(problems_of(good), "");
        struct Case {
            std::string wanted;
            std::function<void(Bytes &)> change;
        };
        std::vector<Case> cases = {
            {"superblock: huge_shift is 9, expected 21",
             [](Bytes &bytes) { bytes.set<std::uint8_t>(SUPER(huge_shift), 9); }},
            {"superblock: a pad is not 0", [](Bytes &bytes) { bytes.set<std::uint8_t>(SUPER(pad0), 1); }},
            {"superblock: a pad is not 0", [](Bytes &bytes) { bytes.set<std::uint32_t>(SUPER(pad1), 1); }},
            {"superblock: the bytes behind its fields",
             [](Bytes &bytes) { bytes.set<std::uint8_t>(4095, 1); }},
            {"superblock: label goes on",
             [](Bytes &bytes) { bytes.set<std::uint8_t>(SUPER(label) + 31, 'x'); }},
            {"inodes and symlinks overlap",
             [](Bytes &bytes) {
                 bytes.set(SUPER(symlinks.off), bytes.get<std::uint64_t>(SUPER(inodes.off)));
             }},
            {"data begins inside metadata",
             [](Bytes &bytes) {
                 bytes.set<std::uint64_t>(SUPER(data.off), 4096);
                 bytes.set(SUPER(data.len), bytes.get<std::uint64_t>(SUPER(image_size)) - 4096);
             }},
            {"superblock: data ends at",
             [](Bytes &bytes) {
                 bytes.set(SUPER(data.len), bytes.get<std::uint64_t>(SUPER(data.len)) - 4096);
             }},
            {"extent lists, and the feature bit",
             [](Bytes &bytes) { bytes.set<std::uint32_t>(SUPER(incompat), 0); }},
            {"files share data, and the feature bit",
             [](Bytes &bytes) {
                 bytes.set(SUPER(compat),
                           bytes.get<std::uint32_t>(SUPER(compat)) & ~DAXFS_COMPAT_SHARED_DATA);
             }},
            {"pad is 77, expected 0", [](Bytes &bytes) { bytes.set<std::uint64_t>(INODE("flat", pad), 77); }},
            {"count is 7, expected 0",
             [](Bytes &bytes) { bytes.set<std::uint32_t>(INODE("flat", count), 7); }},
            {"parent is 7, expected 0",
             [](Bytes &bytes) { bytes.set<std::uint32_t>(INODE("link", parent), 7); }},
            {"data is 7, expected 0",
             [](Bytes &bytes) { bytes.set<std::uint64_t>(INODE("empty", data), 7); }},
            {"data is 7, expected 0", [](Bytes &bytes) { bytes.set<std::uint64_t>(INODE("fifo", data), 7); }},
            {"size is 7, expected 0", [](Bytes &bytes) { bytes.set<std::uint64_t>(INODE("chr", size), 7); }},
            {"flags is 1, expected 0",
             [](Bytes &bytes) { bytes.set<std::uint16_t>(INODE("dir", flags), 1); }},
            {"bad data: 0x100000000000",
             [](Bytes &bytes) { bytes.set<std::uint64_t>(INODE("chr", data), 0x1000ULL << 32); }},
            {"bad data: 0x100100000",
             [](Bytes &bytes) { bytes.set<std::uint64_t>(INODE("chr", data), 0x100100000); }},
            {"overlap the",
             [](Bytes &bytes) {
                 bytes.set<std::uint64_t>(INODE("other", data),
                                          bytes.attr("list").node.data == 0
                                              ? 0
                                              : bytes.get<std::uint64_t>(bytes.extent("list", 0, 8)));
                 bytes.set<std::uint64_t>(INODE("other", size), 8192);
             }},
            {"extent 1 ", [](Bytes &bytes) { bytes.set<std::uint64_t>(bytes.extent("list", 1, 0), 0); }},
            {"extent 0 ", [](Bytes &bytes) { bytes.set<std::uint64_t>(bytes.extent("list", 0, 16), 0); }},
            {"its extents end at 1052672, the file at 401408",
             [](Bytes &bytes) { bytes.set<std::uint64_t>(bytes.extent("list", 2, 0), 1 << 20); }},
            {"extent 0 ", [](Bytes &bytes) { bytes.set<std::uint64_t>(bytes.extent("list", 0, 8), 4096); }},
            {"bytes after the end of the file",
             [](Bytes &bytes) {
                 bytes.set<std::uint8_t>(bytes.get<std::uint64_t>(bytes.extent("tail", 1, 8)) + 4095, 1);
             }},
            {"bytes after the end of the file",
             [](Bytes &bytes) { bytes.set<std::uint8_t>(bytes.attr("flat").node.data + 4095, 1); }},
            {"with 0 before it and 200 entries",
             [](Bytes &bytes) { bytes.set<std::uint32_t>(bytes.attr("many").node.data + 8, 1); }},
            {"and 200 entries",
             [](Bytes &bytes) {
                 const daxfs_node node = bytes.attr("many").node;
                 bytes.set<std::uint32_t>(node.data + 8 + (4ULL << node.bucket_bits), 199);
             }},
            {"a pad of the directory",
             [](Bytes &bytes) {
                 const daxfs_node node = bytes.attr("many").node;
                 bytes.set<std::uint16_t>(node.data + node.entries + offsetof(daxfs_dirent, pad), 1);
             }},
            {"extended attributes are not in order",
             [](Bytes &bytes) {
                 const std::uint64_t at = bytes.bytes().find("a1", bytes.xattrs("acl"));
                 bytes.set<std::uint8_t>(at, 'c');
             }},
            {"of kind 4 is called \"a\"",
             [](Bytes &bytes) {
                 const std::uint64_t at = bytes.bytes().find("a1", bytes.xattrs("acl"));
                 bytes.set<std::uint8_t>(at - 8, DAXFS_XATTR_ACL_ACCESS);
             }},
            {"system.posix_acl_access is no ACL",
             [](Bytes &bytes) {
                 const std::uint64_t at = bytes.bytes().find(acl, bytes.xattrs("acl"));
                 bytes.set<std::uint8_t>(at, 3);
             }},
            {"superblock: label is not UTF-8: \\xff",
             [](Bytes &bytes) { bytes.set<std::uint8_t>(SUPER(label), 0xff); }},
            {"the name of entry 1 is at",
             [](Bytes &bytes) {
                 const daxfs_node node = bytes.attr("many").node;
                 const std::uint64_t at = node.data + node.entries + offsetof(daxfs_dirent, name);
                 bytes.set<std::uint32_t>(at + sizeof(daxfs_dirent), bytes.get<std::uint32_t>(at));
             }},
            {"its names end at",
             [](Bytes &bytes) {
                 bytes.set<std::uint64_t>(INODE("", size), bytes.get<std::uint64_t>(INODE("", size)) + 1);
             }},
            {"a pad of its extended attributes",
             [](Bytes &bytes) { bytes.set<std::uint16_t>(bytes.xattrs("acl") + 10, 1); }},
            {"a pad of its extended attributes",
             [](Bytes &bytes) {
                 bytes.set<std::uint8_t>(bytes.bytes().find("a1", bytes.xattrs("acl")) + 2, 1);
             }},
            {"extended attributes have ",
             [](Bytes &bytes) { bytes.set<std::uint32_t>(bytes.xattrs("acl") + 4, 1); }},
            {"a set of no extended attributes",
             [](Bytes &bytes) { bytes.set<std::uint32_t>(bytes.xattrs("acl") + 4, 0); }},
            {"belong to nothing and are not 0",
             [](Bytes &bytes) {
                 bytes.set<std::uint8_t>(bytes.get<std::uint64_t>(SUPER(symlinks.off)) +
                                             bytes.get<std::uint64_t>(SUPER(symlinks.len)),
                                         1);
             }},
            {"belong to nothing and are not 0",
             [](Bytes &bytes) {
                 bytes.set<std::uint64_t>(INODE("other", size), 0);
                 bytes.set<std::uint64_t>(INODE("other", data), 0);
             }},
            {"overlap the",
             [](Bytes &bytes) {
                 bytes.set<std::uint64_t>(INODE("link2", data), bytes.attr("link").node.data + 1);
             }},
        };
        if (digest) {
            cases.push_back({"it is no regular file, and its digest is not 0", [](Bytes &bytes) {
                                 bytes.set<std::uint8_t>(bytes.get<std::uint64_t>(SUPER(digests.off)), 1);
                             }});
            cases.push_back({"root_digest is not that of",
                             [](Bytes &bytes) { bytes.set<std::uint8_t>(SUPER(root_digest) + 31, 1); }});
            cases.push_back({"digests of kind 1 in", [](Bytes &bytes) {
                                 bytes.set(SUPER(compat),
                                           bytes.get<std::uint32_t>(SUPER(compat)) & ~DAXFS_COMPAT_DIGESTS);
                             }});
        } else {
            cases.push_back({"digests of kind 0 in 0 bytes, and",
                             [](Bytes &bytes) { bytes.set<std::uint8_t>(SUPER(root_digest), 1); }});
        }
        for (const Case &one : cases) {
            Bytes changed(good);
            one.change(changed);
            const std::string found = problems_of(changed.bytes());
            EXPECT_NE(found.find(one.wanted), std::string::npos)
                << "expected " << one.wanted << "\ngot " << found;
        }
    }
}

// What of two extents for one place counts is the later one, wherever reading begins.
TEST_F(CheckRules, OverlappingExtentsReadTheSameFromEverywhere)
{
    const std::string a = noise(8192, 1);
    const std::string b = noise(8192, 2);
    ASSERT_EQ(make_from("reg /f size=212992\n+ " + base64_encode(a) + "\n0 131072\n+ " + base64_encode(b) +
                        "\n0 65536\n")
                  .status,
              0);
    Bytes bytes(read_file(image()));
    bytes.set<std::uint64_t>(bytes.extent("f", 1, 0), 4096);
    const ImageReader reader(
        std::span(reinterpret_cast<const std::uint8_t *>(bytes.bytes().data()), bytes.bytes().size()));
    const daxfs_node file = attr_of(reader, "f").node;
    const std::string content = content_of(reader, "f");
    EXPECT_TRUE(content.substr(0, 4096) == a.substr(0, 4096));
    EXPECT_TRUE(content.substr(4096, 8192) == b);
    for (std::uint64_t pos = 0; pos < 16384; pos += 1024) {
        const daxfs_map run = reader.map(file, pos);
        EXPECT_EQ(content[pos], run.hole ? '\0' : static_cast<char>(reader.bytes(run.off, 1)[0])) << pos;
    }
    EXPECT_NE(problems_of(bytes.bytes()), "");
}

// The format has room for more than any mount could show.
TEST_F(CheckRules, WhatLinuxCannotHold)
{
    const std::string longest(250, 'n');
    std::string many = "reg /many";
    for (int i = 0; i < 255; ++i)
        many += " xattr.user." + std::string(247, 'n') + std::to_string(100 + i) + "=";
    many += " xattr.user." + std::string(122, 'o') + "= xattr.user." + std::string(122, 'p') + "=\n";
    ASSERT_EQ(make_from("reg /file\ndir /dir\nfifo /fifo\nsock /sock\nlnk /link target=x\n"
                        "reg /acl xattr.system.posix_acl_access=" +
                        percent_encode(acl) + "\nreg /user xattr.user." + longest + "=value\n" + many)
                  .status,
              0);
    const std::string good = read_file(image());
    ASSERT_EQ(problems_of(good), "");
    const auto expect = [&](const std::string &wanted, const std::function<void(Bytes &)> &change) {
        Bytes bytes(good);
        change(bytes);
        const std::string found = problems_of(bytes.bytes());
        if (wanted.empty())
            EXPECT_EQ(found, "");
        else
            EXPECT_EQ(lines_of(found, wanted), 1) << "expected " << wanted << "\ngot " << found;
    };
    for (const std::string path : {"file", "dir", "link"}) {
        expect("uid is 4294967295, Linux has 4294967294 at most",
               [&](Bytes &bytes) { bytes.set<std::uint32_t>(INODE(path, uid), 0xffffffff); });
        expect("gid is 4294967295, Linux has 4294967294 at most",
               [&](Bytes &bytes) { bytes.set<std::uint32_t>(INODE(path, gid), 0xffffffff); });
        expect("", [&](Bytes &bytes) { bytes.set<std::uint32_t>(INODE(path, uid), 0xfffffffe); });
    }
    // Of the value's first byte the name's last.
    expect("has 256 bytes, Linux has 255 at most: user.nnn", [&](Bytes &bytes) {
        const std::uint64_t entry = bytes.xattrs("user") + sizeof(daxfs_xattr_set);
        bytes.set<std::uint8_t>(entry + offsetof(daxfs_xattr, name_len), 251);
        bytes.set<std::uint32_t>(entry + offsetof(daxfs_xattr, value_len), 4);
    });
    expect("names of its 257 extended attributes have 65540 bytes, Linux lists 65536 at most",
           [&](Bytes &bytes) {
               bytes.set<std::uint8_t>(bytes.bytes().find("ppp", bytes.xattrs("many")) - sizeof(daxfs_xattr),
                                       DAXFS_XATTR_SECURITY);
           });
    const auto with_set_of = [&](const std::string &path, const std::string &other) {
        return [=](Bytes &bytes) {
            bytes.set(bytes.inode(path, offsetof(daxfs_inode, xattr)), bytes.attr(other).node.xattr);
            bytes.set<std::uint32_t>(bytes.inode(other, offsetof(daxfs_inode, xattr)), 0);
        };
    };
    expect("Linux has no user." + longest + " on an inode of type fifo", with_set_of("fifo", "user"));
    expect("Linux has no user." + longest + " on an inode of type lnk", with_set_of("link", "user"));
    expect("Linux has no system.posix_acl_access on an inode of type lnk", with_set_of("link", "acl"));
    expect("", with_set_of("fifo", "acl"));
    expect("", with_set_of("sock", "user")); // since 7.3
    expect("", with_set_of("dir", "user"));
    expect("bad xattr.value_len: 0x10001", [&](Bytes &bytes) {
        bytes.set<std::uint32_t>(
            bytes.xattrs("user") + sizeof(daxfs_xattr_set) + offsetof(daxfs_xattr, value_len), 65537);
    });
    for (const char wrong : {'/', '\0'})
        expect("/: inode 1: bad dirent.name", [&](Bytes &bytes) {
            bytes.set(bytes.bytes().find("fifo", bytes.attr("").node.data) + 1, wrong);
        });
    for (const std::uint64_t size : {0, 4096})
        expect("bad size", [&](Bytes &bytes) { bytes.set(INODE("link", size), size); });
    expect("bad size", [&](Bytes &bytes) { bytes.set(INODE("file", size), std::uint64_t{1} << 63); });
    expect("bad mtime_nsec",
           [&](Bytes &bytes) { bytes.set<std::uint32_t>(INODE("file", mtime_nsec), 1000000000); });
}

// Lists and sets that many inodes have are looked at once; what each file makes of its list is not.
TEST_F(CheckRules, WhatIsShared)
{
    const std::string block = "+ " + base64_encode(noise(4096, 1)) + "\n";
    ASSERT_EQ(make_from("reg /a size=139264 xattr.user.a=1\n" + block + "0 131072\n" + block +
                        "reg /b size=139264 xattr.user.a=1\n" + block + "0 131072\n" + block +
                        "reg /c xattr.user.c=1\n")
                  .status,
              0);
    const std::string good = read_file(image());
    ASSERT_EQ(problems_of(good), "");
    Bytes bytes(good);
    ASSERT_EQ(bytes.xattrs("a"), bytes.xattrs("b"));
    bytes.set(INODE("b", data), bytes.attr("a").node.data);
    EXPECT_EQ(lines_of(problems_of(bytes.bytes()), "inode"), 0);
    Bytes unordered(bytes.bytes());
    bytes.set<std::uint64_t>(INODE("b", size), 135168);
    const std::string short_b = problems_of(bytes.bytes());
    EXPECT_NE(short_b.find("inode 3: its extents end at 139264, the file at 135168\n"), std::string::npos)
        << short_b;
    EXPECT_EQ(lines_of(short_b, "inode"), 1) << short_b;
    unordered.set<std::uint64_t>(unordered.extent("a", 1, 0), 0);
    EXPECT_EQ(lines_of(problems_of(unordered.bytes()), "is not behind"), 1);
    Bytes cut(good);
    cut.set<std::uint32_t>(cut.xattrs("a") + offsetof(daxfs_xattr_set, count), 9);
    const std::string found = problems_of(cut.bytes());
    EXPECT_EQ(lines_of(found, "xattr"), 1) << found;
    Bytes endless(good);
    endless.set<std::uint32_t>(endless.xattrs("a") + offsetof(daxfs_xattr_set, size), 0x7ffffff8);
    EXPECT_EQ(lines_of(problems_of(endless.bytes()), "overlap"), 0);
}

TEST_F(CheckRules, MkdaxfsMakesNoSuchImage)
{
    const auto refused = [&](const std::string &text, const std::string &wanted,
                             const std::vector<std::string> &options = {}) {
        const ToolResult result = make_from(text, options);
        EXPECT_EQ(result.status, 1);
        EXPECT_NE(result.err.find(wanted), std::string::npos) << result.err;
        EXPECT_FALSE(fs::exists(image()));
    };
    refused("chr /c dev=4096:1\n", "/c: the device's major number is 4096, Linux has 4095 at most");
    refused("blk /c dev=1:1048576\n", "/c: the device's minor number is 1048576, Linux has 1048575 at most");
    refused("dir /d xattr.system.posix_acl_default=junk\n",
            "/d: expected an ACL as system.posix_acl_default, got something else");
    EXPECT_EQ(
        make_from("dir /d xattr.system.posix_acl_default=junk\n", {"--xattr-exclude", "system.*"}).status, 0);
    EXPECT_EQ(make_from("chr /c dev=4095:1048575 xattr.system.posix_acl_access=" + percent_encode(acl) + "\n")
                  .status,
              0);
}

TEST(Acl, AsTheKernelTakesThem)
{
    EXPECT_TRUE(is_acl(acl));
    EXPECT_TRUE(is_acl(acl_head));
    const std::string small = acl_head + acl_entry(1, 7) + acl_entry(4, 5) + acl_entry(32, 0);
    EXPECT_TRUE(is_acl(small));
    EXPECT_TRUE(is_acl(acl_head + acl_entry(1, 7) + acl_entry(4, 5) + acl_entry(16, 0) + acl_entry(32, 0)))
        << "a mask that nobody needs";
    EXPECT_TRUE(is_acl(acl_head + acl_entry(1, 7) + acl_entry(4, 5) + acl_entry(8, 5, 3) +
                       acl_entry(8, 5, 4) + acl_entry(16, 0) + acl_entry(32, 0)));
    const std::string none[] = {
        "",
        "junk",
        acl + "x",
        std::string("\3\0\0\0", 4) + acl.substr(4),
        acl_head + acl_entry(1, 7) + acl_entry(4, 5),                                         // no other
        acl_head + acl_entry(4, 5) + acl_entry(1, 7) + acl_entry(32, 0),                      // order
        acl_head + acl_entry(1, 7) + acl_entry(1, 7) + acl_entry(4, 5) + acl_entry(32, 0),    // twice
        acl_head + acl_entry(1, 7) + acl_entry(2, 7, 5) + acl_entry(4, 5) + acl_entry(32, 0), // no mask
        acl_head + acl_entry(1, 8) + acl_entry(4, 5) + acl_entry(32, 0),                      // permissions
        acl_head + acl_entry(1, 7) + acl_entry(2, 7) + acl_entry(4, 5) + acl_entry(16, 7) +
            acl_entry(32, 0),                                                                // whose?
        acl_head + acl_entry(1, 7) + acl_entry(4, 5) + acl_entry(32, 0) + acl_entry(64, 0)}; // unknown
    for (const std::string &value : none)
        EXPECT_FALSE(is_acl(value)) << value.size();
}

} // namespace

} // namespace daxfs::test
