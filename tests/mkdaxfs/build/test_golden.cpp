// SPDX-License-Identifier: Apache-2.0
// Images of released format versions are read as they always were.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "check_image.hpp"
#include "daxfs_format.h"
#include "digest.hpp"
#include "dump_text.hpp"
#include "mkdaxfs.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

const fs::path golden = DAXFS_GOLDEN_DIR;

// The first image was made when nothing refused a gid that Linux does not have.
constexpr std::uint32_t no_group = 0xffffffff;
constexpr const char *no_group_problem = "/hard: inode 10: gid is 4294967295, Linux has 4294967294 at most\n";

class Golden : public TreeTest, public testing::WithParamInterface<const char *> {};
class GoldenTools : public TreeTest, public testing::WithParamInterface<const char *> {};

TEST_P(Golden, IsUnchangedAndReadTheSame)
{
    std::ifstream sums(golden / "SHA256SUMS");
    int files = 0;
    for (std::string sum, name; sums >> sum >> name;) {
        const std::string bytes = read_file(golden / name);
        Digester digester(DigestKind::sha256);
        digester.update(std::as_bytes(std::span(bytes)));
        EXPECT_EQ(to_hex(digester.finish()), sum) << name;
        files += name.starts_with(GetParam());
    }
    EXPECT_EQ(files, 3) << "the image and its text in two versions";

    const ImageReader reader(golden / (std::string(GetParam()) + ".daxfs"));
    std::string problems;
    check_image(reader,
                [&](const Problem &problem) { problems += problem.path + ": " + problem.text + "\n"; });
    EXPECT_EQ(problems, no_group_problem);
    std::ostringstream text;
    dump_text(reader, text);
    EXPECT_TRUE(text.str() == read_file(golden / (std::string(GetParam()) + ".text-2")));
}

INSTANTIATE_TEST_SUITE_P(Versions, Golden, testing::Values("v1"));

// The last gid that Linux has instead of that one, in the image.
std::string with_a_group(std::string image)
{
    const ImageReader reader(golden / "v1.daxfs");
    const std::uint64_t inode = reader.image().inodes.off + (*reader.find("hard") - 1) * sizeof(daxfs_inode);
    const std::uint32_t group = no_group - 1;
    std::memcpy(&image[inode + offsetof(daxfs_inode, gid)], &group, sizeof(group));
    mend_checksums(image);
    return image;
}

// The same text gives the same bytes: what mkdaxfs writes has not changed either. A new
// layout may change this line, never the images above.
TEST_P(GoldenTools, TodaysToolsMakeTheSame)
{
    std::string text = read_file(golden / GetParam());
    const std::string without = "gid=" + std::to_string(no_group);
    text.replace(text.find(without), without.size(), "gid=" + std::to_string(no_group - 1));
    std::istringstream in(text);
    std::ostringstream out;
    std::ostringstream err;
    ASSERT_EQ(mkdaxfs_main({image(), "--text", "-"}, in, out, err), 0) << err.str();
    EXPECT_TRUE(read_file(image()) == with_a_group(read_file(golden / "v1.daxfs")));
}

INSTANTIATE_TEST_SUITE_P(Texts, GoldenTools, testing::Values("v1.text", "v1.text-2"));

} // namespace

} // namespace daxfs::test
