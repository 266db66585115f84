// SPDX-License-Identifier: Apache-2.0
// Which modules a guest loads, and in which order: a modules folder made by the compiler and depmod.
#include <gtest/gtest.h>

#include "files.hpp"
#include "kernel_modules.hpp"
#include "process.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

struct Module {
    std::string path;                       // below the modules folder
    std::vector<std::string> provides = {}; // exported symbols
    std::vector<std::string> uses = {};
    std::vector<std::string> info = {}; // of .modinfo: "softdep=…", "alias=…"
};

class KernelModulesTest : public testing::Test {
protected:
    const TempDir temp;
    const fs::path dir = temp.path() / "lib/modules/9.9.9";

    void add(const Module &module) const
    {
        std::string source;
        for (const auto &symbol : module.provides)
            source += "int " + symbol + ";\nconst char name_of_" + symbol +
                      "[] __attribute__((section(\"__ksymtab_strings\"))) = \"" + symbol + "\";\n";
        for (const auto &symbol : module.uses)
            source += "extern int " + symbol + ";\nint *use_" + symbol + " = &" + symbol + ";\n";
        int n = 0;
        for (const auto &line : module.info)
            source += "const char info" + std::to_string(n++) +
                      "[] __attribute__((section(\".modinfo\"))) = \"" + line + "\";\n";
        fs::create_directories((dir / module.path).parent_path());
        write_file(temp.path() / "module.c", source + "int nothing;\n");
        run_checked({"cc", "-c", "-o", (dir / module.path).string(), (temp.path() / "module.c").string()});
    }

    KernelModules index(const std::string &builtin = "") const
    {
        write_file(dir / "modules.builtin", builtin);
        write_file(dir / "modules.order", "");
        run_checked({"depmod", "-b", temp.path().string(), "9.9.9"});
        return KernelModules(dir);
    }
};

TEST_F(KernelModulesTest, LoadsWhatIsNeededFirstAndOnce)
{
    add({"kernel/a/nd_pmem.ko", {}, {"btt", "nvdimm"}});
    add({"kernel/a/nd_btt.ko", {"btt"}, {"nvdimm"}});
    add({"kernel/a/libnvdimm.ko", {"nvdimm"}});
    add({"kernel/b/virtio-pmem.ko", {}, {"nvdimm"}});
    const auto modules = index("kernel/c/virtio_pci.ko\n");
    EXPECT_EQ(modules.load_order({"nd-pmem", "virtio_pmem", "virtio_pci"}),
              (Names{"kernel/a/libnvdimm.ko", "kernel/a/nd_btt.ko", "kernel/a/nd_pmem.ko",
                     "kernel/b/virtio-pmem.ko"}));
    EXPECT_TRUE(modules.has("virtio_pci"));
    EXPECT_EQ(modules.load_order({"virtio-pci"}), Names{});
    EXPECT_FALSE(modules.has("ext4"));
}

TEST_F(KernelModulesTest, TakesTheGenericOneOfASoftDependency)
{
    add({"kernel/fs/erofs.ko", {}, {"crc"}});
    add({"kernel/lib/libcrc32c.ko", {"crc"}, {}, {"softdep=pre: crc32c post: later"}});
    add({"kernel/x86/crc32c-intel.ko", {}, {}, {"alias=crc32c"}});
    add({"kernel/crypto/crc32c_generic.ko", {}, {}, {"alias=crc32c"}});
    add({"kernel/crypto/later.ko"});
    EXPECT_EQ(index().load_order({"erofs"}),
              (Names{"kernel/crypto/crc32c_generic.ko", "kernel/lib/libcrc32c.ko", "kernel/fs/erofs.ko"}));
}

TEST_F(KernelModulesTest, NamesTheModuleTheKernelLacks)
{
    add({"kernel/fs/ext4.ko"});
    const auto modules = index();
    try {
        modules.load_order({"erofs"});
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        EXPECT_NE(std::string(error.what()).find("erofs"), std::string::npos) << error.what();
    }
}

TEST_F(KernelModulesTest, WantsAFolderThatDepmodHasSeen)
{
    fs::create_directories(dir);
    try {
        const KernelModules modules(dir);
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        EXPECT_NE(std::string(error.what()).find("depmod"), std::string::npos) << error.what();
    }
}

} // namespace
} // namespace daxbench
