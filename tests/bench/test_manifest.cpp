// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "content_hash.hpp"
#include "manifest.hpp"
#include "temp_dir.hpp"

using namespace daxbench;
namespace fs = std::filesystem;

namespace {

class ManifestTest : public testing::Test {
protected:
    ManifestTest() { ::chmod(root.c_str(), 0755); }

    void put(const std::string &name, const std::string &text)
    {
        std::ofstream(root / name, std::ios::binary) << text;
    }
    static void set_mtime(const fs::path &path, long seconds, long ns)
    {
        const timespec times[2] = {{0, UTIME_OMIT}, {seconds, ns}};
        ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    }
    std::vector<nlohmann::json> entries(ManifestMode mode = ManifestMode::read)
    {
        std::vector<nlohmann::json> out;
        for (const auto &line : make_manifest(root, {mode, 2}))
            out.push_back(nlohmann::json::parse(line));
        return out;
    }

    const daxfs::TempDir folder;
    const fs::path root = folder.path();
};

} // namespace

TEST_F(ManifestTest, OneLineHasItsKeysInOrder)
{
    put("hello", "");
    ::chmod((root / "hello").c_str(), 04755);
    set_mtime(root / "hello", -5, 7);
    const auto lines = make_manifest(root, {});
    ASSERT_EQ(lines.size(), 2U);
    const std::string ids =
        "\"uid\":" + std::to_string(::getuid()) + ",\"gid\":" + std::to_string(::getgid());
    // XXH3-128 of nothing, as `xxhsum -H2` prints it.
    EXPECT_EQ(lines[1], "{\"path\":\"hello\",\"type\":\"reg\",\"mode\":\"4755\"," + ids +
                            ",\"nlink\":1,\"size\":0,\"mtime\":\"-5.000000007\","
                            "\"hash\":\"99aa06d3014798d86001c324468d497f\"}");
}

TEST_F(ManifestTest, SortsByTheBytesOfThePath)
{
    fs::create_directory(root / "a");
    put("a/z", "1");
    put("a-b", "2");
    put("\xff", "3");
    put("new\nline", "4");
    std::vector<std::string> paths;
    for (const auto &entry : entries())
        paths.push_back(entry["path"]);
    EXPECT_EQ(paths, (std::vector<std::string>{".", "a", "a-b", "a/z", "new%0Aline", "%FF"}));
}

TEST_F(ManifestTest, HardLinksNameTheFirst)
{
    put("b", "content");
    fs::create_hard_link(root / "b", root / "c");
    fs::create_hard_link(root / "b", root / "a");
    put("d", "content");
    const auto all = entries();
    EXPECT_EQ(all[1]["link"], "a");
    EXPECT_EQ(all[3]["link"], "a");
    EXPECT_EQ(all[3]["nlink"], 3);
    EXPECT_EQ(all[3]["hash"], all[1]["hash"]);
    EXPECT_FALSE(all[4].contains("link"));
    EXPECT_EQ(all[4]["hash"], all[1]["hash"]);
}

// As a guest that reads every file adds it up: each inode once, by its first name.
TEST_F(ManifestTest, ADigestIsOfNamesAndContents)
{
    const std::vector<std::string> lines = {
        R"({"path":".","type":"dir"})",
        R"({"path":"a","type":"reg","link":"a","hash":"11"})",
        R"({"path":"b","type":"reg","link":"a","hash":"11"})",
        R"({"path":"c","type":"reg","hash":"22"})",
    };
    EXPECT_EQ(content_digest(lines), hash_of("a 11\nc 22\n"));
}

TEST_F(ManifestTest, SpecialEntries)
{
    fs::create_symlink("some where/\x01", root / "link");
    ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
    fs::create_directory(root / "dir");
    const auto all = entries();
    EXPECT_EQ(all[1]["type"], "dir");
    EXPECT_EQ(all[1]["nlink"], 2);
    EXPECT_EQ(all[1]["size"], 0);
    EXPECT_EQ(all[2]["type"], "fifo");
    EXPECT_EQ(all[3]["type"], "lnk");
    EXPECT_EQ(all[3]["target"], "some%20where/%01");
    EXPECT_FALSE(all[3].contains("hash"));
}

TEST_F(ManifestTest, ExtendedAttributes)
{
    put("file", "x");
    const std::string path = root / "file";
    if (::setxattr(path.c_str(), "user.note", "\x01\xfe", 2, 0) < 0)
        GTEST_SKIP() << "no user xattrs in " << root << ": " << std::strerror(errno);
    EXPECT_EQ(entries()[1]["xattrs"]["user.note"], "01fe");
}

TEST_F(ManifestTest, AllModesAgree)
{
    put("empty", "");
    put("page", std::string(4096, 'p'));
    put("odd", std::string(10001, 'o'));
    const auto by_read = make_manifest(root, {ManifestMode::read, 1});
    EXPECT_EQ(make_manifest(root, {ManifestMode::mmap_shared, 3}), by_read);
    EXPECT_EQ(make_manifest(root, {ManifestMode::mmap_private, 0}), by_read);
}

TEST_F(ManifestTest, ContentChangesTheHashAlone)
{
    put("file", "one");
    set_mtime(root / "file", 1, 0);
    const auto before = make_manifest(root, {});
    put("file", "two");
    set_mtime(root / "file", 1, 0);
    set_mtime(root, 1, 0);
    const auto after = make_manifest(root, {});
    EXPECT_NE(before[1], after[1]);
    EXPECT_EQ(diff_manifests({before[1]}, {after[1]}),
              (std::vector<std::string>{"- " + before[1], "+ " + after[1]}));
    EXPECT_TRUE(diff_manifests(after, after).empty());
}

TEST_F(ManifestTest, UnreadableDirectoryIsNamed)
{
    EXPECT_THROW(make_manifest(root / "nowhere", {}), std::runtime_error);
    put("file", "x");
    EXPECT_THROW(make_manifest(root / "file", {}), std::runtime_error);
}
