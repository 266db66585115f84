// SPDX-License-Identifier: Apache-2.0
// Images of released format versions are read as they always were.
#include <fstream>
#include <sstream>

#include "check_image.hpp"
#include "digest.hpp"
#include "dump_text.hpp"
#include "mkdaxfs.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

const fs::path golden = DAXFS_GOLDEN_DIR;

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
    check_image(reader, [](const Problem &problem) { ADD_FAILURE() << problem.text; });
    std::ostringstream text;
    dump_text(reader, text);
    EXPECT_TRUE(text.str() == read_file(golden / (std::string(GetParam()) + ".text-2")));
}

INSTANTIATE_TEST_SUITE_P(Versions, Golden, testing::Values("v1"));

// The same text gives the same bytes: what mkdaxfs writes has not changed either. A new
// layout may change this line, never the images above.
TEST_P(GoldenTools, TodaysToolsMakeTheSame)
{
    std::istringstream in(read_file(golden / GetParam()));
    std::ostringstream out;
    std::ostringstream err;
    ASSERT_EQ(mkdaxfs_main({image(), "--text", "-"}, in, out, err), 0) << err.str();
    EXPECT_TRUE(read_file(image()) == read_file(golden / "v1.daxfs"));
}

INSTANTIATE_TEST_SUITE_P(Texts, GoldenTools, testing::Values("v1.text", "v1.text-2"));

} // namespace

} // namespace daxfs::test
