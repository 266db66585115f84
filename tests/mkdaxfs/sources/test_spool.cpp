// SPDX-License-Identifier: Apache-2.0
// What a stream brings waits in a spool, which knows its own holes.
#include <atomic>
#include <fstream>

#include <sys/syscall.h>
#include <unistd.h>

#include "blob_store.hpp"
#include "shell.hpp"
#include "sources_fixture.hpp"
#include "spool.hpp"
#include "tree_fixture.hpp"

namespace {

std::atomic<int> holes_asked_for = 0;

} // namespace

// In place of the C library's.
extern "C" off_t lseek(int fd, off_t offset, int whence) noexcept
{
    holes_asked_for += whence == SEEK_HOLE || whence == SEEK_DATA;
    return static_cast<off_t>(syscall(SYS_lseek, fd, offset, whence));
}

namespace daxfs::test {

namespace {

// tmpfs walks from page to page to answer where the next hole is, which is behind all other files: of a spool
// that was asked for each of N files, N * N.
TEST_F(Sources, NoFilesystemIsAskedForHolesOfASpool)
{
    for (int i = 0; i < 50; ++i)
        add_file(std::to_string(i), noise(128 << 10, static_cast<std::uint64_t>(i)));
    fs::resize_file(add_file("holes", noise(5000, 3)), 10 << 20);
    make();
    tar("plain.tar", pax);
    tar("sparse.tar", pax + " --sparse");
    const std::string text = dump({"--text"}).out;
    const std::string piped = read_file(root() / "plain.tar");
    const std::string sparse = read_file(root() / "sparse.tar");
    holes_asked_for = 0;
    expect_same_image({"--tar", root() / "plain.tar"});
    expect_same_image({"--tar", "-"}, piped);
    expect_same_image({"--tar", "-"}, sparse);
    expect_same_image({"--text", "-"}, text);
    EXPECT_EQ(holes_asked_for, 0);
    // The count does count.
    make();
    EXPECT_GT(holes_asked_for, 50);
}

std::string shown(const std::vector<ByteRange> &ranges)
{
    std::string text;
    for (const ByteRange &range : ranges)
        text += fmt::format("[{} {})", range.begin, range.end);
    return text;
}

TEST(Spool, KnowsWhereItsFilesHaveData)
{
    Spool spool;
    Tree tree;
    const std::string bytes = noise(200000, 1);
    const auto add = [&](std::uint64_t size, const std::vector<ByteRange> &ranges) {
        Node node;
        node.size = size;
        node.content = spool.next();
        for (const ByteRange &range : ranges)
            spool.write(node.content + range.begin,
                        std::as_bytes(std::span(bytes)).subspan(range.begin, range.end - range.begin));
        spool.take(size);
        return tree.add_node(node);
    };
    const NodeId small = add(100, {{0, 100}});
    const NodeId in_pieces = add(200000, {{0, 70000}, {70000, 200000}});
    const NodeId empty = add(0, {});
    const NodeId hole = add(1 << 20, {});
    const NodeId both = add(1 << 20, {{0, 4096}, {100000, 100010}, {100012, 104096}});
    const NodeId backwards = add(1 << 20, {{100000, 200000}, {0, 10000}, {5000, 6000}});
    const auto ranges = [&](NodeId id) { return shown(spool.open(tree, id)->data_ranges()); };
    EXPECT_EQ(ranges(small), "[0 100)");
    EXPECT_EQ(ranges(in_pieces), "[0 200000)");
    EXPECT_EQ(ranges(empty), "");
    EXPECT_EQ(ranges(hole), "");
    EXPECT_EQ(ranges(both), "[0 4096)[100000 104096)");
    EXPECT_EQ(ranges(backwards), "[0 10000)[100000 200000)");
    std::string read(1 << 20, 'x');
    spool.open(tree, both)->read(0, std::as_writable_bytes(std::span(read)));
    EXPECT_TRUE(read == bytes.substr(0, 4096) + std::string(100000 - 4096, '\0') + bytes.substr(100000, 10) +
                            std::string(2, '\0') + bytes.substr(100012, 104096 - 100012) +
                            std::string((1 << 20) - 104096, '\0'));
}

// What lies in a file as it is, of a tar or of a layer in an archive, is not copied.
TEST_F(Sources, ArchivesInFilesAreReadInPlace)
{
    make_tree();
    make();
    tar("plain.tar", pax);
    tar("sparse.tar", pax + " --sparse");
    const Workers workers;
    const PathFilter filter;
    const auto copied = [&](const ArchiveInput &input) {
        TreeBuilder builder;
        Spool spool;
        read_archive(input, "archive", {builder, spool, filter, workers});
        return spool.next();
    };
    EXPECT_EQ(copied(open_archive(root() / "plain.tar", nullptr)), 0u);
    EXPECT_GE(copied(open_archive(root() / "sparse.tar", nullptr)), 10u << 20) << "data and holes";
    EXPECT_LT(copied(open_archive(root() / "sparse.tar", nullptr)), 11u << 20) << "nothing else";
    UniqueFd fd = open_input(root() / "plain.tar", nullptr);
    EXPECT_GT(copied(bytes_of_file(std::move(fd), "plain.tar", nullptr)), 13u << 20) << "of a stream, all";

    ASSERT_EQ(shell("cd " + root().string() + " && tar -cf outer.tar plain.tar && gzip -k outer.tar"), "");
    EXPECT_TRUE(open_blobs(root() / "outer.tar", workers)->part("plain.tar").file);
    EXPECT_FALSE(open_blobs(root() / "outer.tar.gz", workers)->part("plain.tar").file);
    const auto blobs = open_blobs(root() / "outer.tar", workers);
    const FilePart part = blobs->part("plain.tar");
    EXPECT_EQ(copied({{}, part}), 0u);
    EXPECT_EQ(copied({bytes_of_part(part, nullptr), part}), 0u);
}

TEST_F(Sources, AFileThatChangesWhileItIsRead)
{
    add_file("file", "before");
    tar("t.tar", pax);
    const SharedFile file(open_input(root() / "t.tar", nullptr), "t.tar");
    file.check_unchanged();
    std::ofstream(root() / "t.tar", std::ios::app) << "more";
    EXPECT_THROW(file.check_unchanged(), std::runtime_error);
    std::byte one[1];
    EXPECT_THROW(file.read(1 << 20, one), std::runtime_error);
    // Cut inside a file, which is not read before the image is written.
    const std::string whole = read_file(root() / "t.tar");
    std::ofstream(root() / "t.tar", std::ios::binary) << whole.substr(0, whole.find("before") + 2);
    expect_error(run({"--tar", root() / "t.tar"}), "it was cut, see what was to write it");
}

} // namespace

} // namespace daxfs::test
