// SPDX-License-Identifier: Apache-2.0
// What the headers of a tar say is in the image, or in one line of text; nothing is dropped without a word.
#include <fstream>

#include <sys/stat.h>
#include <sys/xattr.h>

#include "shell.hpp"
#include "sources_fixture.hpp"
#include "tar_bytes.hpp"
#include "tar_reader.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace {

class Pax : public Sources {
protected:
    ToolResult run_tar(const std::string &bytes) const
    {
        fs::remove(image("other"));
        return run({"-q", "--tar", "-"}, bytes + tar_end());
    }
    ToolResult run_with(const std::string &records, const std::string &global = "") const
    {
        return run_tar((global.empty() ? "" : pax_header(global, 'g')) + pax_header(records) +
                       tar_entry('0', "file", "content"));
    }
    void expect_refused(const std::string &records, const std::string &why) const
    {
        expect_error(run_with(records), "archive -: /file: " + why);
    }
    daxfs_attr attr_with(const std::string &records, const std::string &global = "") const
    {
        const ToolResult result = run_with(records, global);
        EXPECT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(result.err, "");
        return attr_of(ImageReader(image("other")), "file");
    }
    // Full names and values.
    std::string xattrs_in(const std::string &path) const
    {
        const ImageReader reader(image("other"));
        std::string all;
        for (const Xattr &one : reader.xattrs(attr_of(reader, path).node))
            all += join_xattr_name(one.index, one.name) + "=" + one.value + ";";
        return all;
    }
};

TEST_F(Pax, DamagedRecordsAreRefused)
{
    // Of two files, each with its record's length spoilt, one was left: both had the name that ustar cuts.
    const std::string name(120, 'a');
    for (const std::string number : {"1", "2"})
        add_file(name + number, number);
    tar("t.tar", "--format=pax --sort=name");
    ASSERT_EQ(shell("sed -i 's/1\\([0-9][0-9]\\) path=/9\\1 path=/g' " + (root() / "t.tar").string()), "");
    expect_error(run({"--tar", root() / "t.tar"}),
                 "expected records of the form \"LENGTH KEYWORD=VALUE\" and a newline, got \"933 path=./aaa");
    for (const char *body : {"path=x\n", "8 path=x\n", "11 path=xx", "11 path\nxyz\n", "5 =x\n", "x",
                             "12 path=x\n", "-9 path=x\n", " 9 path=x\n", "99999999999999999999999 path=x\n"})
        expect_refused(body, "expected records of the form \"LENGTH KEYWORD=VALUE\" and a newline, got \"");
    expect_refused(pax_record("path", "good") + "12 pa", "expected records of the form");
    expect_error(run_tar(pax_header(pax_record("path", "lost"))),
                 "expected an entry behind its extended header, got the end");
}

TEST_F(Pax, NumbersAndNames)
{
    EXPECT_EQ(attr_with(pax_record("uid", "4294967294")).uid, 4294967294u);
    EXPECT_EQ(attr_with(pax_record("gid", "3000000")).gid, 3000000u);
    // Only where no option gives another, see test_rules.
    expect_error(run_with(pax_record("uid", "4294967295")),
                 "/file: uid is 4294967295, Linux has 4294967294 at most");
    for (const char *bad : {"-1", "4294967296", "99999999999999999999", "", "12x", "1.5"}) {
        expect_refused(pax_record("uid", bad), "expected a number from 0 to 4294967295 as uid, got ");
        expect_refused(pax_record("gid", bad), "expected a number from 0 to 4294967295 as gid, got ");
    }
    expect_refused(pax_record("size", "-7"),
                   "expected a number from 0 to 9223372036854771711 as size, got \"-7\"");
    expect_refused(pax_record("size", ""),
                   "expected a number from 0 to 9223372036854771711 as size, got nothing");
    expect_refused(pax_record("path", ""), "expected a path without NUL as path, got nothing");
    expect_refused(pax_record("path", std::string("a\0b", 3)),
                   "expected a path without NUL as path, got \"a\\x00b\"");
    expect_refused(pax_record("linkpath", ""), "expected a path without NUL as linkpath");
    expect_refused(pax_record("hdrcharset", "ISO-IR 8859 1 1998"),
                   "expected BINARY or \"ISO-IR 10646 2000 UTF-8\" as hdrcharset");
    // The last of two counts; names are bytes.
    const ToolResult result = run_with(pax_record("hdrcharset", "BINARY") + pax_record("path", "no") +
                                       pax_record("path", "d/\xff\xfe=\n"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(content_of(ImageReader(image("other")), "d/\xff\xfe=\n"), "content");
    ASSERT_EQ(run_tar(pax_header(pax_record("linkpath", "\xfe/x")) + tar_entry('2', "link", "", "short") +
                      pax_header(pax_record("path", "\xfd")) + tar_entry('0', "x", "y") +
                      pax_header(pax_record("linkpath", "\xfd")) + tar_entry('1', "hard", "", "x"))
                  .status,
              0);
    const ImageReader reader(image("other"));
    EXPECT_EQ(reader.target(attr_of(reader, "link").node), "\xfe/x");
    EXPECT_EQ(content_of(reader, "hard"), "y");
    ASSERT_EQ(
        run_tar(pax_header(pax_record("SCHILY.devmajor", "4095") + pax_record("SCHILY.devminor", "1048575")) +
                tar_entry('3', "dev"))
            .status,
        0);
    EXPECT_EQ(attr_of(ImageReader(image("other")), "dev").rdev_minor, 1048575u);
}

TEST_F(Pax, Times)
{
    const auto expect_time = [&](const std::string &text, std::int64_t seconds, std::uint32_t nanoseconds) {
        const daxfs_attr attr = attr_with(pax_record("mtime", text) + pax_record("atime", "nonsense"));
        EXPECT_EQ(attr.mtime_sec, seconds) << text;
        EXPECT_EQ(attr.mtime_nsec, nanoseconds) << text;
    };
    expect_time("1", 1, 0);
    expect_time("1.5", 1, 500000000);
    expect_time("1.0000000019", 1, 1);
    expect_time("-1", -1, 0);
    expect_time("-1.25", -2, 750000000);
    expect_time("-0.5", -1, 500000000);
    expect_time("-0.0000000001", -1, 999999999);
    expect_time("9223372036854775807", INT64_MAX, 0);
    for (const char *bad : {"", "-", "x", "1.5x", "1,5", ".", "9223372036854775808", "1e9"})
        expect_refused(pax_record("mtime", bad), "expected seconds since 1970 as mtime, got ");
}

TEST_F(Pax, GlobalHeaders)
{
    const std::string global = pax_record("comment", "as git archive writes it") + pax_record("uid", "7") +
                               pax_record("mtime", "99.5") + pax_record("SCHILY.xattr.user.of", "all");
    const ToolResult result =
        run_tar(pax_header(global, 'g') + tar_entry('0', "one") + pax_header(pax_record("uid", "8")) +
                tar_entry('0', "two") + pax_header(pax_record("uid", "9"), 'g') + tar_entry('5', "three"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    const ImageReader reader(image("other"));
    EXPECT_EQ(attr_of(reader, "one").uid, 7u);
    EXPECT_EQ(attr_of(reader, "two").uid, 8u);
    EXPECT_EQ(attr_of(reader, "three").uid, 9u);
    EXPECT_EQ(attr_of(reader, "two").mtime_sec, 99);
    EXPECT_EQ(attr_of(reader, "two").mtime_nsec, 500000000u);
    EXPECT_EQ(xattrs_in("three"), "user.of=all;");
    for (const char *keyword : {"path", "linkpath", "size", "GNU.sparse.size"})
        expect_error(run_with(pax_record("uid", "1"), pax_record(keyword, "1")),
                     std::string("/file: expected ") + keyword + " of single entries, got one for all");
    expect_error(run_with("", pax_record("GNU.volume.offset", "512")), "give all of its volumes as one");
}

TEST_F(Pax, ExtendedAttributes)
{
    attr_with(pax_record("SCHILY.xattr.user.a%3Db%25", "v=\n") + pax_record("SCHILY.xattr.user.empty", "") +
              pax_record("RHT.security.selinux", "u:r:t:s0"));
    EXPECT_EQ(xattrs_in("file"),
              std::string("user.a=b%=v=\n;user.empty=;security.selinux=u:r:t:s0") + '\0' + ';');
    // bsdtar's two forms of each: only the second has every name.
    attr_with(pax_record("SCHILY.xattr.user.a=b", "v") + pax_record("LIBARCHIVE.xattr.user.a%3Db", "dmE"));
    EXPECT_EQ(xattrs_in("file"), "user.a=b=va;");
    expect_refused(pax_record("LIBARCHIVE.xattr.user.a", "d!"),
                   "expected base64 as LIBARCHIVE.xattr.user.a, got \"d!\"");
    expect_refused(pax_record("LIBARCHIVE.xattr.user.%zz", "dmE"), "expected a name with %XX in it");
}

// One line for each kind, with how many there are and the first.
TEST_F(Pax, WhatIsNotKeptIsNamedOnce)
{
    const std::string odd = pax_record("SCHILY.xattr.com.apple.x", "1") +
                            pax_record("SCHILY.acl.access", "rubbish") +
                            pax_record("SCHILY.fflags", "nodump") + pax_record("APK.checksum", "1");
    const ToolResult result =
        run_tar(pax_header(odd) + tar_entry('0', "one") + pax_header(odd) + tar_entry('0', "two") +
                pax_header(pax_record("SCHILY.acl.ace", "owner@:rw::allow") +
                           pax_record("SCHILY.xattr.system.posix_acl_access", "short")) +
                tar_entry('0', "three") + tar_entry('Z', "four", "of type Z"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(
        result.err,
        "mkdaxfs: warning: -: 2 extended attributes are not kept, an image has those in user., trusted. and "
        "security. alone; the first: com.apple.x of /one\n"
        "mkdaxfs: warning: -: 4 ACLs are not kept, since Linux takes no such ACL; the first: /one\n"
        "mkdaxfs: warning: -: 2 entries have file flags, which an image does not keep; the first: nodump of "
        "/one\n"
        "mkdaxfs: warning: -: 2 records of extended headers are unknown and not kept; the first: "
        "APK.checksum of /one\n"
        "mkdaxfs: warning: -: 1 entry is of an unknown type and became regular files: /four\n");
    EXPECT_EQ(attr_of(ImageReader(image("other")), "one").mode & 07777, 0644u);
    EXPECT_EQ(xattrs_in("one"), "");
    EXPECT_EQ(content_of(ImageReader(image("other")), "four"), "of type Z");
}

TEST_F(Pax, Acls)
{
    const daxfs_attr attr = attr_with(
        pax_record("SCHILY.acl.access", "user::rwx,user:lisa:r--:4711,group::---,mask::rw-,other::--x"));
    EXPECT_EQ(attr.mode & 07777, 0761u);
    EXPECT_EQ(xattrs_in("file").size(), std::string("system.posix_acl_access=").size() + 4 + 5 * 8 + 1);
    EXPECT_EQ(attr_with(pax_record("SCHILY.acl.access", "user::r--,group::r--,other::---")).mode & 07777,
              0440u);
    EXPECT_EQ(xattrs_in("file"), "");
    expect_refused(
        pax_record("SCHILY.acl.access", "user::rwx,user:no such user:r--,group::---,mask::rw-,other::--x"),
        "");
}

TEST_F(Pax, SparseFilesOfGnu)
{
    const std::string data(1024, 'd');
    const auto file = [&](const std::string &records, const std::string &content) {
        return run_tar(pax_header(records) + tar_entry('0', "GNUSparseFile/file", content));
    };
    const std::string v01 = pax_record("GNU.sparse.name", "s") + pax_record("GNU.sparse.size", "100000") +
                            pax_record("GNU.sparse.numblocks", "2");
    const std::string v1 = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                           pax_record("GNU.sparse.name", "s") + pax_record("GNU.sparse.realsize", "100000");
    const std::string parts =
        pax_record("GNU.sparse.offset", "0") + pax_record("GNU.sparse.numbytes", "512") +
        pax_record("GNU.sparse.offset", "90000") + pax_record("GNU.sparse.numbytes", "512");
    const std::string whole = data.substr(0, 512) + std::string(90000 - 512, '\0') + data.substr(0, 512) +
                              std::string(100000 - 90512, '\0');
    for (const ToolResult &result :
         {file(v01 + pax_record("GNU.sparse.map", "0,512,90000,512"), data), file(v01 + parts, data),
          file(v1, padded("2\n0\n512\n90000\n512\n") + data)}) {
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_TRUE(content_of(ImageReader(image("other")), "s") == whole);
    }
    for (const char *map : {"90000,512,0,512", "0,512,100,512", "0,512,99999,512", "0,512,200000,512"})
        expect_error(file(v01 + pax_record("GNU.sparse.map", map), data),
                     "expected a map of data in order and inside its 100000 bytes");
    for (const char *map : {"0,512,90000,511", "0,512"})
        expect_error(file(v01 + pax_record("GNU.sparse.map", map), data),
                     " bytes of data, as its map says, got 1024");
    for (const char *map : {"0,512,90000", "0,x", "0,512,,"})
        expect_error(file(v01 + pax_record("GNU.sparse.map", map), data),
                     "expected pairs of numbers with commas between them as GNU.sparse.map");
    expect_error(file(v01 + pax_record("GNU.sparse.offset", "0"), data),
                 "expected as many GNU.sparse.offset as numbytes");
    expect_error(file(v1, padded("2\n0\n512\n90000\n511\n") + data),
                 "expected 1023 bytes of data, as its map says, got 1024");
    expect_error(file(pax_record("GNU.sparse.major", "2"), data),
                 "expected a number from 0 to 1 as GNU.sparse.major");
}

TEST_F(Pax, FieldsOfTheHeaderItself)
{
    for (const auto &[at, what] :
         {std::pair(100, "mode"), std::pair(108, "uid"), std::pair(116, "gid"), std::pair(136, "mtime")}) {
        std::string entry = tar_entry('0', "one") + tar_entry('0', "file");
        std::string block = entry.substr(512);
        block.replace(static_cast<std::size_t>(at), 7, "0009zz0");
        mend_header(block);
        expect_error(
            run_tar(entry.substr(0, 512) + block),
            fmt::format("archive -: /file: expected an octal number as its {}, got \"0009zz0", what));
    }
    std::string block = tar_entry('0', "file");
    block.replace(108, 16, 16, ' '); // blank, as some write 0
    mend_header(block);
    ASSERT_EQ(run_tar(block).status, 0);
    block.replace(108, 8, std::string("\x80\0\0\0\xff\xff\xff\xff", 8));
    mend_header(block);
    expect_error(run_tar(block), "/file: uid is 4294967295, Linux has 4294967294 at most");
    block = tar_entry('0', "file");
    block.replace(136, 12, "\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    mend_header(block);
    expect_error(run_tar(block), "mtime");
    expect_error(run_tar(tar_entry('M', "file", "x")), "/file: this is the rest of a file in another volume");
    expect_error(run_tar(tar_entry('N', "file", "x")),
                 "expected long names of type L and K, got the older type N");
    EXPECT_EQ(run_tar(tar_entry('V', "a label of the volume") + tar_entry('7', "file", "x")).status, 0);
    EXPECT_FALSE(ImageReader(image("other")).find("a label of the volume"));
}

// However a stream is cut into pieces.
TEST_F(Pax, StreamsThatComeInPieces)
{
    std::string bytes;
    for (int i = 0; i < 3; ++i)
        bytes += pax_header(pax_record("path", fmt::format("d/{}", i)) + pax_record("uid", "70000")) +
                 tar_entry('0', "x", std::string(static_cast<std::size_t>(700 * i), 'c')) +
                 tar_entry('1', fmt::format("l{}", i), std::string(600, 'z'), fmt::format("d/{}", i));
    bytes += tar_end();
    for (const std::size_t piece : {1, 7, 100, 511, 512, 513, 1000, 1536, 4096}) {
        TreeBuilder builder;
        Spool spool;
        const Workers workers;
        const PathFilter filter;
        std::size_t at = 0;
        const ReadBytes read = [&](std::span<std::byte> to) {
            const std::size_t given = std::min({piece, to.size(), bytes.size() - at});
            std::copy_n(reinterpret_cast<const std::byte *>(bytes.data()) + at, given, to.begin());
            at += given;
            return given;
        };
        ASSERT_NO_THROW(read_archive(read, "pieces", {builder, spool, filter, workers})) << piece;
        for (int i = 0; i < 3; ++i) {
            const auto id = builder.find(fmt::format("d/{}", i));
            ASSERT_TRUE(id) << piece;
            EXPECT_EQ(builder.tree().nodes[*id].uid, 70000u);
            EXPECT_EQ(builder.find(fmt::format("l{}", i)), id);
        }
    }
}

} // namespace

} // namespace daxfs::test
