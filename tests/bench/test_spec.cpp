// SPDX-License-Identifier: Apache-2.0
// workloads/*.toml: the tree's own files load, and what is wrong in one is named.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "declared_keys.hpp"
#include "join.hpp"
#include "process.hpp"
#include "spec.hpp"
#include "toml_reader.hpp"
#include "workload.hpp"
#include "world.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;

/// A private copy of the tree's workloads that a test may spoil.
class SpecTest : public testing::Test {
protected:
    SpecTest() : root_(folder_.path() / "workloads")
    {
        fs::copy(own_paths().source / "workloads", root_, fs::copy_options::recursive);
    }

    void write(const std::string &path, const std::string &text) const
    {
        std::ofstream(root_ / path) << text;
    }

    std::string error() const
    {
        try {
            load_catalogue(root_);
        } catch (const std::exception &error) {
            return error.what();
        }
        return "";
    }

    TempDir folder_;
    fs::path root_;
};

const std::string rival = "id = \"rival\"\ntype = \"rival\"\nmedium = \"pmem\"\n"
                          "image = \"erofs-4k\"\n[prove]\ndax = true\npage_cache = false\n";

TEST_F(SpecTest, OwnDeclarationsLoad)
{
    const auto all = load_catalogue(root_);
    EXPECT_TRUE(all.suites.contains("erofs-vs-daxfs"));
    EXPECT_GE(all.filesystems.size(), 5U);
    EXPECT_EQ(all.filesystems.at("tmpfs").needed_image(), "erofs-4k");
    EXPECT_EQ(all.datasets.at("weights").bytes, 268435456U);
    EXPECT_TRUE(all.datasets.at("fio-verify").job.is_absolute());
}

TEST_F(SpecTest, ARivalNeedsOneFileOnly)
{
    write("filesystems/rival.toml", rival);
    EXPECT_EQ(load_catalogue(root_).filesystems.at("rival").label, "rival");
}

TEST_F(SpecTest, WhatIsGivenBesideJoinsTheExperimentsItFits)
{
    const auto file = [&](const std::string &name, const std::string &text) {
        std::ofstream(folder_.path() / name) << text;
        return folder_.path() / name;
    };
    const auto all = load_catalogue(
        root_,
        {file("a.toml", rival),
         file("b.toml", "[[workload]]\nid = \"touch\"\nengine = \"benchmark\"\nop = \"stat\"\n"),
         file("c.toml", "id = \"tree\"\nkind = \"random-file\"\nbytes = 4096\nseed = 1\npath = \"f\"\n")});
    const auto has = [](const std::vector<std::string> &ids, const std::string &id) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    const auto &latency = all.experiments.at("latency");
    EXPECT_TRUE(has(latency.filesystems, "rival"));
    EXPECT_TRUE(has(latency.workloads, "touch"));
    EXPECT_TRUE(has(latency.dataset_workloads.at("weights"), "touch"));
    EXPECT_TRUE(has(latency.datasets, "tree"));
    EXPECT_TRUE(has(*all.suites.at("erofs-vs-daxfs").profiles.at("smoke").filesystems, "rival"));
    // Programs are not in just any tree, and nothing of a guest is measured on the host.
    EXPECT_FALSE(has(all.experiments.at("program-start").datasets, "tree"));
    EXPECT_FALSE(has(all.experiments.at("program-start").workloads, "touch"));
    EXPECT_FALSE(has(all.experiments.at("build").filesystems, "rival"));
    EXPECT_TRUE(has(all.experiments.at("build").datasets, "tree"));
}

TEST_F(SpecTest, AGivenTreeTakesTheDatasetsPlace)
{
    auto all = load_catalogue(root_);
    DatasetSpec given;
    given.id = "given";
    use_only(all, given);
    const std::vector<std::string> only{"given"};
    EXPECT_EQ(all.experiments.at("latency").datasets, only);
    EXPECT_EQ(all.suites.at("erofs-vs-daxfs").profiles.at("smoke").datasets, only);
    // The shell of the working set may not be there; what reads anything is measured.
    EXPECT_EQ(all.experiments.at("duplication").dataset_workloads.at("given"),
              (std::vector<std::string>{"read-10", "read-30", "read-all"}));
    EXPECT_TRUE(all.experiments.at("fio").datasets.empty());
    given.id = "rootfs";
    EXPECT_THROW(use_only(all, given), std::runtime_error);
}

TEST_F(SpecTest, WhatIsGivenBesideMustBeOfAKind)
{
    std::ofstream(folder_.path() / "odd.toml") << "id = \"odd\"\n";
    try {
        load_catalogue(root_, {folder_.path() / "odd.toml"});
        FAIL() << "no error";
    } catch (const std::exception &error) {
        EXPECT_NE(std::string(error.what()).find("odd.toml: expected a filesystem (it has the key medium)"),
                  std::string::npos)
            << error.what();
    }
}

TEST_F(SpecTest, UnknownKeyIsNamedWithFileAndLine)
{
    write("filesystems/rival.toml", "colour = \"red\"\n" + rival);
    EXPECT_NE(error().find("rival.toml:1: colour: expected only the keys"), std::string::npos) << error();
}

TEST_F(SpecTest, UnknownKeyInNestedTableIsNamed)
{
    write("filesystems/rival.toml", rival + "daxx = true\n");
    EXPECT_NE(error().find("rival.toml:8: prove.daxx: "), std::string::npos) << error();
}

TEST_F(SpecTest, WrongTypeSaysWhatCame)
{
    write("filesystems/rival.toml", "options = 7\n" + rival);
    EXPECT_NE(error().find("rival.toml:1: options: expected a string, got 7"), std::string::npos) << error();
}

TEST_F(SpecTest, MissingKeyIsNamed)
{
    write("filesystems/rival.toml", "id = \"rival\"\ntype = \"rival\"\nmedium = \"pmem\"\n");
    EXPECT_NE(error().find("image: expected a string, got nothing"), std::string::npos) << error();
}

TEST_F(SpecTest, ChoiceListsWhatIsAllowed)
{
    write("filesystems/rival.toml", "medium = \"floppy\"\nid = \"r\"\ntype = \"r\"\n");
    EXPECT_NE(error().find("medium: expected one of \"pmem\", \"virtio-blk\", \"ram\", \"nvdimm-nodax\""),
              std::string::npos)
        << error();
}

TEST_F(SpecTest, ReferenceToNothingIsNamed)
{
    fs::remove(root_ / "images/erofs-4k.toml");
    EXPECT_NE(error().find("where there is no erofs-4k"), std::string::npos) << error();
}

TEST_F(SpecTest, SameIdTwiceIsRefused)
{
    fs::copy_file(root_ / "filesystems/tmpfs.toml", root_ / "filesystems/z.toml");
    EXPECT_NE(error().find("z.toml"), std::string::npos) << error();
    EXPECT_NE(error().find("an id that no other file"), std::string::npos) << error();
}

// --with names what is declared already: it joins the experiments that do not name it.
TEST_F(SpecTest, WhatIsDeclaredJoinsByWith)
{
    const auto file = root_ / "filesystems/ext4-dax.toml";
    const auto has = [](const Catalogue &all) {
        const auto &ids = all.experiments.at("latency").filesystems;
        return std::ranges::find(ids, "ext4-dax") != ids.end();
    };
    EXPECT_FALSE(has(load_catalogue(root_)));
    const auto copy = root_ / "copy.toml";
    fs::copy_file(file, copy);
    EXPECT_TRUE(has(load_catalogue(root_, {copy})));
    write_file(copy, read_file(file) + "\n# more\n");
    EXPECT_TRUE(has(load_catalogue(root_, {copy})));
    auto text = read_file(file);
    text.replace(text.find("label = \"ext4"), 12, "label = \"ext5");
    write_file(copy, text);
    EXPECT_THROW(load_catalogue(root_, {copy}), std::runtime_error);
}

TEST_F(SpecTest, OverlaysAndFirstKernelsAreDeclared)
{
    const auto all = load_catalogue(root_);
    EXPECT_TRUE(all.filesystems.at("daxfs-overlay").overlay);
    EXPECT_FALSE(all.filesystems.at("daxfs").overlay);
    const auto &shared = all.filesystems.at("erofs-share");
    EXPECT_EQ(too_old("7.3.4-1", shared), "");
    EXPECT_EQ(too_old("7.0.0", shared), "");
    EXPECT_EQ(too_old("10.1", shared), "");
    EXPECT_NE(too_old("6.12.117+deb12-amd64", shared).find("expected Linux 7.0 or later"), std::string::npos);
    EXPECT_EQ(too_old("6.1", all.filesystems.at("erofs")), "");
}

TEST_F(SpecTest, IdThatIsNoPathPartIsRefused)
{
    write("filesystems/rival.toml", "id = \"../x\"\n");
    EXPECT_NE(error().find("id: expected lower case letters"), std::string::npos) << error();
}

TEST_F(SpecTest, SyntaxErrorHasFileAndLine)
{
    write("suites/broken.toml", "id = \"broken\"\ntitle = \n");
    EXPECT_NE(error().find("broken.toml:2: "), std::string::npos) << error();
}

TEST_F(SpecTest, WorkloadWithUnknownOpIsRefused)
{
    write("workloads/more.toml", "[[workload]]\nid = \"w\"\nengine = \"benchmark\"\nop = \"fly\"\n");
    EXPECT_NE(error().find("workload.op: expected one of"), std::string::npos) << error();
}

TEST_F(SpecTest, AKeyOfAnotherEngineIsRefused)
{
    write("workloads/more.toml", "[[workload]]\nid = \"w\"\nengine = \"read-all\"\nop = \"stat\"\n");
    EXPECT_NE(error().find("op"), std::string::npos) << error();
    write("workloads/more.toml", "[[workload]]\nid = \"w\"\nengine = \"page-tables\"\nprocesses = 3\n");
    EXPECT_NE(error().find("workload.touches: expected"), std::string::npos) << error();
}

// The schema that editors read is the one that `daxbench schema` prints.
TEST(Schema, OfWorkloadsIsGenerated)
{
    const auto kept = read_file(own_paths().source / "workloads/workload.schema.json");
    EXPECT_TRUE(kept == workload_schema().dump(2) + "\n")
        << "run: build/bench/host/daxbench schema > workloads/workload.schema.json";
}

TEST(Document, OfDeclarationsIsGenerated)
{
    EXPECT_EQ(read_file(own_paths().source / "docs/workloads.md"), workloads_document())
        << "run: build/bench/host/daxbench reference > docs/workloads.md";
}

// So that nothing can be read that the document does not have.
TEST(Document, AKeyThatIsNotDeclaredCannotBeRead)
{
    const auto table = toml::parse("id = 'a'\nnew = 1\n[prove]\ndax = true\nnew = 1\n");
    TomlReader reader("f.toml", table, "", &declared_file("filesystems"));
    EXPECT_EQ(reader.text("id"), "a");
    EXPECT_THROW(reader.number("new", 0, 9), std::logic_error);
    auto prove = reader.table("prove");
    EXPECT_TRUE(prove.flag("dax"));
    EXPECT_THROW(prove.number("new", 0, 9), std::logic_error);
}

TEST_F(SpecTest, NumberOutOfRangeIsRefused)
{
    write("workloads/more.toml",
          "[[workload]]\nid = \"w\"\nengine = \"benchmark\"\nop = \"stat\"\nlimit = 0\n");
    EXPECT_NE(error().find("workload.limit: expected a whole number from 1"), std::string::npos) << error();
}

TEST_F(SpecTest, AMisspeltIdInALimitIsNamedWithTheNearest)
{
    const std::string suite = "id = \"s\"\nexperiments = [\"latency\"]\n[profile.default]\n"
                              "[limit.a]\ntitle = \"t\"\nat_most = 3\n";
    write("suites/more.toml", suite + "row = { filesystem = \"daxfs\", workload = \"mmap-touch-sec\" }\n");
    EXPECT_NE(error().find("more.toml:7: limit.a.row: expected ids declared in workloads/workloads, where "
                           "there is no mmap-touch-sec (the nearest is mmap-touch-seq)"),
              std::string::npos)
        << error();
    write("suites/more.toml", suite + "row = { metric = \"cost_per_ob\" }\n");
    EXPECT_NE(error().find("metrics.toml, where there is no cost_per_ob (the nearest is cost_per_op)"),
              std::string::npos)
        << error();
}

TEST_F(SpecTest, AVariantIsOneOfADeclaredFilesystem)
{
    write("filesystems/rival.toml", "variant_of = \"daxsf\"\n" + rival);
    EXPECT_NE(error().find("variant_of"), std::string::npos) << error();
}

TEST_F(SpecTest, AMetricIsBetterLowOrHigh)
{
    write("metrics.toml", "[cost_per_op]\nlabel = \"cost\"\nbetter = \"always\"\n");
    EXPECT_NE(error().find("metrics.toml:3: cost_per_op.better: expected"), std::string::npos) << error();
}

TEST_F(SpecTest, ALimitHasOneBound)
{
    const std::string suite = "id = \"s\"\nexperiments = [\"latency\"]\n[profile.default]\n"
                              "[limit.a]\ntitle = \"t\"\nrow = { filesystem = \"daxfs\" }\n";
    write("suites/more.toml", suite + "at_most = 3\n");
    EXPECT_EQ(load_catalogue(root_).suites.at("s").limits.at(0).at_most, 3);
    write("suites/more.toml", suite + "at_most = 3\nrivals = [\"tmpfs\"]\n");
    EXPECT_NE(error().find("at_most: expected either"), std::string::npos) << error();
    write("suites/more.toml", suite + "at_most = 3\nagainst = { flavour = \"x\" }\n");
    EXPECT_NE(error().find("flavour: expected only"), std::string::npos) << error();
}

TEST_F(SpecTest, DirectoriesOfAFileTreeAreNumbers)
{
    const std::string dataset = "id = \"t\"\nkind = \"file-tree\"\n[directories]\n";
    write("datasets/t.toml", dataset + "10 = 2\n");
    EXPECT_EQ(load_catalogue(root_).datasets.at("t").directories.at(0).count, 2U);
    write("datasets/t.toml", dataset + "ten = 2\n");
    EXPECT_NE(error().find("ten: expected a number of files"), std::string::npos) << error();
}

TEST_F(SpecTest, BuildsNameImagesAndWorkloadsOfTheirOwn)
{
    const std::string text = "id = \"b\"\ndriver = \"build\"\ndatasets = [\"fewfiles\"]\ntimeout = 9\n";
    write("experiments/b.toml", text + "images = [\"erofs-4k\"]\nworkloads = [\"build\"]\n");
    const auto all = load_catalogue(root_);
    EXPECT_EQ(all.experiments.at("b").driver, Driver::build);
    EXPECT_EQ(all.experiments.at("b").filesystems, std::vector<std::string>{"erofs-4k"});
    write("experiments/b.toml", text + "images = [\"none\"]\nworkloads = [\"build\"]\n");
    EXPECT_NE(error().find("images: expected ids declared in workloads/images"), std::string::npos)
        << error();
    write("experiments/b.toml", text + "images = [\"erofs-4k\"]\nworkloads = [\"stat\"]\n");
    EXPECT_NE(error().find("workloads: expected workloads of the engine build"), std::string::npos)
        << error();
    write("experiments/b.toml", text + "filesystems = [\"daxfs\"]\nworkloads = [\"build\"]\n");
    EXPECT_NE(error().find("images: expected"), std::string::npos) << error();
}

TEST_F(SpecTest, MissingFolderIsNamed)
{
    fs::remove_all(root_ / "suites");
    EXPECT_NE(error().find("suites: expected a folder"), std::string::npos) << error();
}

} // namespace
} // namespace daxbench
