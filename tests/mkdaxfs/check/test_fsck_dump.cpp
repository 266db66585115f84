// SPDX-License-Identifier: Apache-2.0
// fsck.daxfs finds damage, dump.daxfs shows what is there.
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "dump.hpp"
#include "fsck.hpp"
#include "mapped_image.hpp"
#include "tree_fixture.hpp"
#include "unique_fd.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

class FsckDump : public TreeTest {
protected:
    void SetUp() override
    {
        TreeTest::SetUp();
        for (int i = 0; i < 20; ++i)
            add_file("dir/" + std::to_string(i), noise(1000, static_cast<std::uint64_t>(i)));
        add_file("dir/sub/file", "content");
        add_file("holes", std::string(200000, '\0') + "end");
        fs::create_symlink("target", source() / "link");
        fs::create_hard_link(source() / "dir/3", source() / "hard");
        make({"--label", "test"});
        good_ = read_file(image());
    }

    ToolResult fsck(const std::vector<std::string> &options = {}) const
    {
        std::vector<std::string> args = {image()};
        args.insert(args.end(), options.begin(), options.end());
        std::ostringstream out;
        std::ostringstream err;
        const int status = fsck_main(args, out, err);
        return {status, out.str(), err.str()};
    }

    // Writes the image with a change to its superblock and the right checksums.
    void with_super(std::string bytes, const std::function<void(daxfs_super &)> &change) const
    {
        daxfs_super super;
        std::memcpy(&super, bytes.data(), sizeof(super));
        change(super);
        std::memcpy(bytes.data(), &super, sizeof(super));
        mend_checksums(bytes);
        std::ofstream(image(), std::ios::binary) << bytes;
    }

    // Change an inode, mend the checksums, and see what fsck says.
    std::string after(std::string_view path, const std::function<void(daxfs_inode &)> &change) const
    {
        std::string bytes = good_;
        {
            std::ofstream(image(), std::ios::binary) << good_;
            const ImageReader reader(image());
            const std::uint64_t ino = reader.find(path).value_or(0);
            daxfs_inode inode;
            char *at = bytes.data() + reader.image().inodes.off + (ino - 1) * sizeof(inode);
            std::memcpy(&inode, at, sizeof(inode));
            change(inode);
            std::memcpy(at, &inode, sizeof(inode));
        }
        mend_checksums(bytes);
        std::ofstream(image(), std::ios::binary) << bytes;
        const ToolResult result = fsck();
        EXPECT_EQ(result.status, 4) << result.out;
        return result.out;
    }

    std::string good_;
};

void expect_part(const std::string &text, const std::string &part)
{
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nwanted: " << part;
}

TEST_F(FsckDump, CleanImage)
{
    const ToolResult text = fsck();
    EXPECT_EQ(text.status, 0) << text.out;
    expect_part(text.out, "clean");
    const auto json = nlohmann::json::parse(fsck({"--json"}).out);
    EXPECT_TRUE(json["clean"]);
    EXPECT_EQ(json["problems"].size(), 0u);
}

TEST_F(FsckDump, EachDamageIsNamed)
{
    expect_part(after("dir/3", [](daxfs_inode &inode) { inode.nlink = 1; }), "nlink is 1, counted 2");
    expect_part(after("dir/sub", [](daxfs_inode &inode) { inode.parent = 1; }), "parent is 1");
    expect_part(after("dir", [](daxfs_inode &inode) { inode.nlink = 9; }), "nlink is 9, counted 3");
    expect_part(after("dir/7", [](daxfs_inode &inode) { inode.data += 1; }), "bad data");
    expect_part(after("dir/7", [](daxfs_inode &inode) { inode.size = 990; }), "after the end");
    expect_part(after("dir/7", [](daxfs_inode &inode) { inode.mode = 0010644; }), "type 8");
    expect_part(after("dir", [](daxfs_inode &inode) { inode.mode = 0010644; }), "no path");
    expect_part(after("holes", [](daxfs_inode &inode) { inode.count = 0; }), "blocks is");
    expect_part(after("", [](daxfs_inode &inode) { inode.parent = 2; }), "own parent");
    // The root as a child of one of its descendants: the record of dir is the root's.
    expect_part(after("dir", [](daxfs_inode &inode) { inode.data = inode.size = 0; }), "bad data");
}

TEST_F(FsckDump, ChecksumAndForeign)
{
    std::string bytes = good_;
    bytes[DAXFS_SUPER_SIZE + 8] ^= 1; // the root's uid
    std::ofstream(image(), std::ios::binary) << bytes;
    EXPECT_EQ(fsck().status, 4);
    expect_part(fsck().out, "checksum");
    std::ofstream(image(), std::ios::binary) << "something else";
    EXPECT_EQ(fsck().status, 4);
    EXPECT_EQ(fsck().out, image().string() + ": no DAXFS image, it has only 14 bytes\n" + image().string() +
                              ": 0 inodes, 1 problem\n");
    fs::remove(image());
    EXPECT_EQ(fsck().status, 8);
    fs::create_directory(image());
    EXPECT_EQ(fsck().status, 8);
    EXPECT_EQ(fsck().err,
              "fsck.daxfs: expected an image file or device, got the directory " + image().string() + "\n");
    EXPECT_EQ(dump().status, 1);
    EXPECT_EQ(fsck({"--nonsense"}).status, 16);
}

// Whoever reads a message knows names, not numbers.
TEST_F(FsckDump, DamageIsToldWithItsPath)
{
    const std::string of = image().string() + ": ";
    expect_part(after("dir/7", [](daxfs_inode &inode) { inode.data += 1; }), of + "/dir/7: inode ");
    expect_part(after("", [](daxfs_inode &inode) { inode.parent = 2; }), of + "/: inode 1: ");
    const auto problems = nlohmann::json::parse(fsck({"--json"}).out)["problems"];
    EXPECT_EQ(problems.at(0).value("path", ""), "/");

    add_file("odd\n", "");
    fs::create_symlink("a-target", source() / "dir/sub/broken");
    fs::create_hard_link(source() / "dir/sub/broken", source() / "dir/sub/a-hard-link");
    make({"--digest", "xxh3"});
    good_ = read_file(image());
    std::string bytes = good_;
    bytes[bytes.find("a-target") + 3] = '\0';
    mend_checksums(bytes);
    std::ofstream(image(), std::ios::binary) << bytes;
    const std::string wanted = ": its target, at ";
    expect_part(fsck().out, of + "/dir/sub/");
    expect_part(fsck().out, wanted);
    for (const std::vector<std::string> &action : {std::vector<std::string>{"--tar"},
                                                   {"--text"},
                                                   {"--stat", "dir/sub/broken"},
                                                   {"--ls", "dir/sub"},
                                                   {"--extract", root() / "out"},
                                                   {"--diff", image()}}) {
        const ToolResult result = dump(action);
        EXPECT_NE(result.status, 0) << action[0];
        expect_part(result.err, "dump.daxfs: " + of + "/dir/sub/");
        expect_part(result.err, wanted);
    }
    expect_part(after("odd\n", [](daxfs_inode &inode) { inode.mtime_nsec = 1000000000; }),
                of + "/odd\\x0a: inode ");
    expect_part(dump().err, "dump.daxfs: " + of + "/odd\\x0a: inode ");
    expect_part(after("dir", [](daxfs_inode &inode) { inode.data += 1; }), of + "/dir: inode ");

    std::string deep = "top";
    for (int i = 0; i < 80; ++i)
        deep += "/d";
    add_file(deep + "/bottom", "b");
    make();
    good_ = read_file(image());
    std::string end = "/bottom: inode ";
    for (int i = 0; i < 63; ++i)
        end.insert(0, "/d");
    expect_part(after(deep + "/bottom", [](daxfs_inode &inode) { inode.nlink = 2; }), of + "…" + end);
}

// Nothing says that it is damaged.
TEST_F(FsckDump, ALaterFormatCannotBeChecked)
{
    with_super(good_, [](daxfs_super &super) { super.version = DAXFS_VERSION + 1; });
    EXPECT_EQ(fsck().status, 8);
    EXPECT_EQ(fsck().out, "");
    expect_part(fsck().err, "fsck.daxfs: " + image().string() + ": needs format version 0x2, unknown here: ");
    with_super(good_, [](daxfs_super &super) { super.incompat |= 0x40000000; });
    const std::string why =
        image().string() + ": needs format incompat 0x40000000, unknown here: a later DAXFS is needed\n";
    EXPECT_EQ(fsck().status, 8);
    EXPECT_EQ(fsck().err, "fsck.daxfs: " + why);
    EXPECT_EQ(dump().status, 1);
    EXPECT_EQ(dump().err, "dump.daxfs: " + why);
}

TEST_F(FsckDump, ACutImageSaysWhatIsThere)
{
    fs::resize_file(image(), 8192);
    const std::string why =
        fmt::format("{}: expected {} bytes as its superblock says, there are 8192: it was cut\n",
                    image().string(), good_.size());
    EXPECT_EQ(fsck().status, 4);
    EXPECT_EQ(fsck().out, why + image().string() + ": 0 inodes, 1 problem\n");
    make({}, "other");
    const ToolResult diff = dump({"--diff", image("other")});
    EXPECT_EQ(diff.status, 2);
    EXPECT_EQ(diff.err, "dump.daxfs: " + why);
}

TEST_F(FsckDump, DiffNamesTheDamagedImage)
{
    fs::rename(image(), image("other"));
    after("dir/7", [](daxfs_inode &inode) { inode.data += 1; });
    fs::rename(image(), image("damaged"));
    fs::rename(image("other"), image());
    fs::remove(source() / "hard");
    make({}, "fine");
    std::ostringstream out;
    for (const auto &[left, right] :
         {std::pair(image("damaged"), image("fine")), std::pair(image("fine"), image("damaged"))}) {
        std::ostringstream err;
        EXPECT_EQ(dump_main({left, "--diff", right}, out, err), 2);
        expect_part(err.str(), "dump.daxfs: " + image("damaged").string() + ": /dir/7: inode ");
    }
}

TEST_F(FsckDump, DiffOfWhatHasNoRootDirectory)
{
    after("", [](daxfs_inode &inode) {
        inode.mode = 0100644;
        inode.data = inode.size = inode.count = inode.parent = 0;
    });
    std::ostringstream out, err;
    EXPECT_EQ(dump_main({image(), "--diff", image()}, out, err), 2);
    expect_part(err.str(), "the root is no directory");
}

// One bad entry is no flood of what may follow from it, wherever in the directory it is.
TEST_F(FsckDump, FewProblemsOfOneBadEntry)
{
    std::ofstream(image(), std::ios::binary) << good_;
    const daxfs_node dir = attr_of(ImageReader(image()), "").node;
    for (std::uint32_t entry = 0; entry < dir.count; ++entry) {
        for (const std::size_t field : {offsetof(daxfs_dirent, ino), offsetof(daxfs_dirent, name)}) {
            std::string bytes = good_;
            bytes[dir.data + dir.entries + entry * sizeof(daxfs_dirent) + field + 3] = '\x7f';
            mend_checksums(bytes);
            std::ofstream(image(), std::ios::binary) << bytes;
            const ToolResult result = fsck();
            EXPECT_EQ(result.status, 4);
            expect_part(result.out,
                        field == offsetof(daxfs_dirent, ino) ? "bad dirent.ino" : "bad dirent.name");
            expect_part(result.out, "cannot be read, which may be why: 1\n");
            EXPECT_LE(std::count(result.out.begin(), result.out.end(), '\n'), 4) << entry << "\n"
                                                                                 << result.out;
        }
    }
}

TEST_F(FsckDump, WhatIsNoFileOrDevice)
{
    const std::string pipe = root() / "pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    for (const auto &[path, what] : {std::pair<std::string, std::string>(pipe, "is a pipe"),
                                     std::pair<std::string, std::string>("/dev/null", "is none of them")}) {
        const std::string why =
            "expected an image file, a block device or /dev/daxX.Y, " + path + " " + what + "\n";
        std::ostringstream out, err, dump_err;
        EXPECT_EQ(fsck_main({path}, out, err), 8);
        EXPECT_EQ(err.str(), "fsck.daxfs: " + why);
        EXPECT_EQ(dump_main({path}, out, dump_err), 1);
        EXPECT_EQ(dump_err.str(), "dump.daxfs: " + why);
        EXPECT_EQ(out.str(), "");
    }
}

// Cuts a file when the first byte is written to it.
class CutsFile : public std::streambuf {
public:
    explicit CutsFile(std::string file) : file_(std::move(file)) {}

private:
    std::streamsize xsputn(const char *, std::streamsize size) override
    {
        fs::resize_file(file_, 4096);
        return size;
    }
    int overflow(int c) override
    {
        fs::resize_file(file_, 4096);
        return c;
    }

    std::string file_;
};

TEST_F(FsckDump, AnImageThatIsCutMeanwhile)
{
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    CutsFile cuts(image());
    std::ostream out(&cuts);
    // The test that runs anew in each child has an own folder.
    const std::string line =
        "daxfs: cannot read /[^ ]*/image at byte [0-9]+: the medium has an error there, or the "
        "file was cut meanwhile\n$";
    for (const std::string action : {"--text", "--tar", "--ls=/"})
        EXPECT_EXIT(dump_main({image(), action}, out, std::cerr), testing::ExitedWithCode(1),
                    "^dump." + line);
    set_mtime("", 1, 0);
    make({}, "other");
    EXPECT_EXIT(dump_main({image(), "--diff", image("other")}, out, std::cerr), testing::ExitedWithCode(2),
                "^dump." + line);
    std::string bytes = good_;
    bytes[DAXFS_SUPER_SIZE + 8] ^= 1; // the root's uid: fsck's first line is that of the checksum
    std::ofstream(image(), std::ios::binary) << bytes;
    EXPECT_EXIT(fsck_main({image()}, out, std::cerr), testing::ExitedWithCode(8), "^fsck." + line);
}

// Nobody else's errors are taken for the image's.
TEST_F(FsckDump, ABusErrorElsewhereIsOne)
{
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    const EndOnUnreadableImage end("fsck.daxfs", 8);
    const ImageReader reader(image());
    make({}, "other");
    EXPECT_EXIT(raise(SIGBUS), testing::KilledBySignal(SIGBUS), "^$");
    EXPECT_EXIT(
        {
            const UniqueFd fd(open(image("other").c_str(), O_RDONLY));
            const auto *other =
                static_cast<const std::uint8_t *>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd.get(), 0));
            fs::resize_file(image("other"), 0);
            touch({other, 8192});
        },
        testing::KilledBySignal(SIGBUS), "^$");
}

TEST_F(FsckDump, Digests)
{
    for (const std::string kind : {"xxh3", "sha256"}) {
        make({"--digest", kind});
        EXPECT_EQ(fsck().status, 0) << fsck().out;
        const auto super = nlohmann::json::parse(dump({"--json"}).out);
        EXPECT_EQ(super["digest"], kind);
        EXPECT_EQ(super["root_digest"].get<std::string>().size(), kind == "xxh3" ? 32u : 64u);
        std::uint64_t offset = 0;
        std::uint64_t ino = 0;
        {
            const ImageReader reader(image());
            ino = reader.find("dir/5").value_or(0);
            offset = reader.map(attr_of(reader, "dir/5").node, 0).off;
        }
        std::string bytes = read_file(image());
        bytes[offset + 500] ^= 1;
        std::ofstream(image(), std::ios::binary) << bytes;
        EXPECT_EQ(fsck({"-j", "3"}).status, 4);
        expect_part(fsck().out, "inode " + std::to_string(ino) + ": its data does not have the digest");
        EXPECT_EQ(nlohmann::json::parse(fsck({"--json"}).out)["problems"].size(), 1u);
    }
    make({"--digest", "sha256"});
    // As sha256sum prints it.
    EXPECT_EQ(to_hex(ImageReader(image()).digest(*ImageReader(image()).find("dir/sub/file"))),
              "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73");
    EXPECT_EQ(mkdaxfs({"--digest", "md5"}).status, 2);
    // As XXH3_128bits() computes it with the instructions that every CPU has.
    add_file("noise", noise(300000, 1));
    fs::resize_file(add_file("hole", ""), 300000);
    add_file("zeros", std::string(300000, '\0'));
    make({"--digest", "xxh3"});
    const ImageReader reader(image());
    const auto digest = [&](const char *path) { return to_hex(reader.digest(*reader.find(path))); };
    EXPECT_EQ(digest("noise"), "fc31b343bb47d79a479eba52682b48b1");
    EXPECT_EQ(digest("hole"), digest("zeros"));
}

TEST_F(FsckDump, Dump)
{
    const auto all = nlohmann::json::parse(dump({"--json"}).out);
    EXPECT_EQ(all["label"], "test");
    EXPECT_EQ(all["image_bytes"], good_.size());
    EXPECT_EQ(all["statistics"]["types"]["dir"], 3);
    EXPECT_EQ(all["statistics"]["files_with_holes"], 1);
    expect_part(dump({}).out, "label: test");
    EXPECT_EQ(dump({"--cat", "/dir/sub/file"}).out, "content");
    EXPECT_EQ(dump({"--cat", "holes"}).out, std::string(200000, '\0') + "end");
    const auto link = nlohmann::json::parse(dump({"--json", "--stat", "link"}).out);
    EXPECT_EQ(link["target"], "target");
    expect_part(dump({"--ls", "/"}).out, "holes");
    EXPECT_EQ(dump({"--cat", "nothing"}).status, 1);
    expect_part(dump({"--cat", "nothing"}).err, "not in the image");
}

TEST_F(FsckDump, JsonLosesNoByte)
{
    const std::set<std::string> names = {"\xff", "\xfe",  "\xff\xfe", "\xc3\xbc",
                                         "\xc3", "\\xff", "a\nb",     "\xed\xa0\x80"};
    for (const std::string &name : names)
        add_file("odd/" + name, "");
    make();
    std::set<std::string> shown;
    std::istringstream lines(dump({"--json", "--ls", "odd"}).out);
    for (std::string line; std::getline(lines, line);)
        shown.insert(nlohmann::json::parse(line)["path"].get<std::string>());
    EXPECT_EQ(shown, (std::set<std::string>{"\\xff", "\\xfe", "\\xff\\xfe", "\xc3\xbc", "\\xc3", "\\x5cxff",
                                            "a\\x0ab", "\\xed\\xa0\\x80"}));
}

TEST_F(FsckDump, DiffAsJson)
{
    add_file("odd\xff", "");
    add_file("dir/0", "other");
    fs::remove(source() / "link");
    for (const std::string path : {"", "dir", "dir/0"})
        set_mtime(path, 1, 0);
    make({}, "other");
    std::istringstream lines(dump({"--json", "--diff", image("other")}).out);
    std::map<std::string, nlohmann::json> what;
    for (std::string line; std::getline(lines, line);) {
        const auto json = nlohmann::json::parse(line);
        what[json["path"]] = json["what"];
    }
    using Words = std::vector<std::string>;
    EXPECT_EQ(what["/link"].get<Words>(), Words{"removed"});
    EXPECT_EQ(what["/odd\\xff"].get<Words>(), Words{"added"});
    EXPECT_EQ(what["/dir/0"].get<Words>(), (Words{"mtime", "content"}));
    EXPECT_EQ(what.size(), 5U) << dump({"--diff", image("other")}).out;
}

} // namespace

} // namespace daxfs::test
