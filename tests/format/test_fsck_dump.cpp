// SPDX-License-Identifier: Apache-2.0
// fsck.daxfs finds damage, dump.daxfs shows what is there.
#include <cstring>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fsck.hpp"
#include "tree_fixture.hpp"

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

    ToolResult fsck(const std::vector<std::string>& options = {}) const
    {
        std::vector<std::string> args = {image()};
        args.insert(args.end(), options.begin(), options.end());
        std::ostringstream out;
        std::ostringstream err;
        const int status = fsck_main(args, out, err);
        return {status, out.str(), err.str()};
    }

    // Change an inode, mend the checksums, and see what fsck says.
    std::string after(std::string_view path, const std::function<void(daxfs_inode&)>& change) const
    {
        std::string bytes = good_;
        {
            std::ofstream(image(), std::ios::binary) << good_;
            const ImageReader reader(image());
            const std::uint64_t ino = reader.find(path).value_or(0);
            daxfs_inode inode;
            char* at = bytes.data() + reader.image().inodes.off + (ino - 1) * sizeof(inode);
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

void expect_part(const std::string& text, const std::string& part)
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
    expect_part(after("dir/3", [](daxfs_inode& inode) { inode.nlink = 1; }), "nlink is 1, counted 2");
    expect_part(after("dir/sub", [](daxfs_inode& inode) { inode.parent = 1; }), "parent is 1");
    expect_part(after("dir", [](daxfs_inode& inode) { inode.nlink = 9; }), "nlink is 9, counted 3");
    expect_part(after("dir/7", [](daxfs_inode& inode) { inode.data += 1; }), "bad data");
    expect_part(after("dir/7", [](daxfs_inode& inode) { inode.size = 990; }), "after the end");
    expect_part(after("dir/7", [](daxfs_inode& inode) { inode.mode = 0010644; }), "type 8");
    expect_part(after("dir", [](daxfs_inode& inode) { inode.mode = 0010644; }), "no path");
    expect_part(after("holes", [](daxfs_inode& inode) { inode.count = 0; }), "blocks is");
    expect_part(after("", [](daxfs_inode& inode) { inode.parent = 2; }), "own parent");
    // The root as a child of one of its descendants: the record of dir is the root's.
    expect_part(after("dir", [](daxfs_inode& inode) { inode.data = inode.size = 0; }), "bad data");
}

TEST_F(FsckDump, ChecksumAndForeign)
{
    std::string bytes = good_;
    bytes[DAXFS_SUPER_SIZE + 8] ^= 1;  // the root's uid
    std::ofstream(image(), std::ios::binary) << bytes;
    EXPECT_EQ(fsck().status, 4);
    expect_part(fsck().out, "checksum");
    std::ofstream(image(), std::ios::binary) << "something else";
    EXPECT_EQ(fsck().status, 4);
    EXPECT_EQ(fsck().out, image().string() + ": no DAXFS image, it has only 14 bytes\n" +
                              image().string() + ": 0 inodes, 1 problem\n");
    fs::remove(image());
    EXPECT_EQ(fsck().status, 8);
    fs::create_directory(image());
    EXPECT_EQ(fsck().status, 8);
    EXPECT_EQ(fsck().err, "fsck.daxfs: wanted an image file or device, got the directory " + image().string() + "\n");
    EXPECT_EQ(dump().status, 1);
    EXPECT_EQ(fsck({"--nonsense"}).status, 16);
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

}  // namespace

}  // namespace daxfs::test
