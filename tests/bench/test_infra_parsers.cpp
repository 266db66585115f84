// SPDX-License-Identifier: Apache-2.0
// What the bench reads of other programs' and the kernel's texts.
#include <gtest/gtest.h>

#include "debian_mirrors.hpp"
#include "environment.hpp"
#include "guest.hpp"
#include "host_memory.hpp"
#include "image.hpp"
#include "initramfs.hpp"
#include "kernel.hpp"
#include "program.hpp"
#include "shared_libraries.hpp"
#include "source_kernel.hpp"

namespace daxbench {
namespace {

using Names = std::vector<std::string>;

TEST(Smaps, SplitsGuestRamImageAndRest)
{
    const std::string smaps = "7f0000000000-7f0010000000 rw-s 00000000 00:01 1034      "
                              "           /memfd:memory-backend-memfd (deleted)\n"
                              "Size:             262144 kB\n"
                              "Rss:              100 kB\n"
                              "Pss:              100 kB\n"
                              "Pss_Dirty:        100 kB\n"
                              "VmFlags: rd wr sh\n"
                              "7f0010000000-7f0020000000 rw-s 00000000 fe:00 99 /a b/image\n"
                              "Rss:              80 kB\n"
                              "Pss:              40 kB\n"
                              "55d000000000-55d000100000 r-xp 00000000 fe:00 7 /usr/bin/qemu\n"
                              "Rss:              30 kB\n"
                              "Pss:              10 kB\n"
                              "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]\n"
                              "Rss:              4 kB\n"
                              "Pss:              4 kB\n"
                              "7f0030000000-7f0030021000 rw-p 00000000 00:00 0 \n"
                              "Rss:              2 kB\n"
                              "Pss:              2 kB\n";
    const auto memory = parse_smaps(smaps, "/a b/image");
    EXPECT_EQ(memory.ram.rss, 100u * 1024);
    EXPECT_EQ(memory.ram.pss, 100u * 1024);
    EXPECT_EQ(memory.image.rss, 80u * 1024);
    EXPECT_EQ(memory.image.pss, 40u * 1024);
    EXPECT_EQ(memory.rest.rss, 36u * 1024);
    EXPECT_EQ(memory.rest.pss, 16u * 1024);
    EXPECT_EQ(memory.files.rss, 30u * 1024);
    EXPECT_EQ(memory.total.rss, 216u * 1024);
    EXPECT_EQ(memory.total.pss, 156u * 1024);
}

TEST(Smaps, TheKernelsOwnSumIsReadFromStatus)
{
    HostMemory memory;
    add_status(memory, "Name:\tqemu\nVmHWM:\t     300 kB\nVmRSS:\t     216 kB\nVmPTE:\t       8 kB\n");
    EXPECT_EQ(memory.resident, 216u * 1024);
    EXPECT_EQ(memory.page_tables, 8u * 1024);
}

TEST(Smaps, WithoutAnImageItIsPartOfTheRest)
{
    const auto memory = parse_smaps("1-2 rw-s 0 fe:00 99 /image\nRss: 8 kB\nPss: 8 kB\n", "");
    EXPECT_EQ(memory.image.rss, 0u);
    EXPECT_EQ(memory.rest.rss, 8u * 1024);
}

TEST(OsRelease, GivesValuesWithoutQuotes)
{
    const std::string text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"
                             "VERSION_CODENAME=bookworm\nVERSION_ID=\"12\"\n";
    EXPECT_EQ(os_release_value(text, "PRETTY_NAME"), "Debian GNU/Linux 12 (bookworm)");
    EXPECT_EQ(os_release_value(text, "ID"), "debian");
    EXPECT_EQ(os_release_value(text, "VERSION"), "");
}

TEST(DebianSources, TakesTheReleasesOwnSuitesOnce)
{
    const std::string targets = "Debian|http://m/debian/|bookworm|main|\n"
                                "Debian|http://m/debian/|bookworm|main|\n"
                                "Debian|http://m/debian/|bookworm-updates|main|\n"
                                "Debian|http://m/debian-security/|bookworm-security|main|\n"
                                "Debian Backports|http://m/debian/|bookworm-backports|main|\n"
                                "Debian|http://m/debian/|trixie|main|\n"
                                "Somebody|http://else/|bookworm|main|\n";
    const auto sources = debian_sources(targets, "bookworm");
    ASSERT_EQ(sources.size(), 3u);
    EXPECT_TRUE(sources[0].starts_with("deb "));
    EXPECT_TRUE(sources[0].ends_with("http://m/debian/ bookworm main"));
    EXPECT_TRUE(sources[2].ends_with("http://m/debian-security/ bookworm-security main"));
}

TEST(SourceKernels, AreNamedBySeriesAndWhatLooksOn)
{
    EXPECT_EQ(source_kernel_name("7.3").series, "7.3");
    EXPECT_FALSE(source_kernel_name("7.3").debug);
    EXPECT_EQ(source_kernel_name("6.12-debug").series, "6.12");
    EXPECT_TRUE(source_kernel_name("6.12-debug").debug);
}

TEST(SourceKernels, MayHaveOurPatches)
{
    const auto name = source_kernel_name("7.3-debug+dax-map-ahead+remote-cow");
    EXPECT_EQ(name.series, "7.3");
    EXPECT_TRUE(name.debug);
    EXPECT_EQ(name.patches, (std::vector<std::string>{"dax-map-ahead", "remote-cow"}));
    EXPECT_TRUE(source_kernel_name("7.3").patches.empty());

    const TempDir tree;
    const auto configs = tree.path() / "setup/kernels";
    std::filesystem::create_directories(configs);
    for (const std::string file : {"base", "9.9"})
        write_file(configs / (file + ".config"), "CONFIG_A=y\n");
    EXPECT_FALSE(has_source_kernel(source_kernel_name("9.9"), configs));
    try {
        has_source_kernel(source_kernel_name("9.9+nothing"), configs);
        FAIL() << "there are no such patches";
    } catch (const std::exception &error) {
        EXPECT_NE(std::string(error.what()).find("upstream/nothing"), std::string::npos) << error.what();
    }
}

TEST(SourceKernels, ComeFromTheSuiteTheirConfigurationNames)
{
    EXPECT_EQ(suite_of_config("# SPDX\n# suite: trixie-backports\nCONFIG_A=y\n"), "trixie-backports");
    EXPECT_FALSE(suite_of_config("CONFIG_A=y\n"));
}

TEST(SourceKernels, AnOptionThatIsNotAsWantedIsTold)
{
    const std::string config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n";
    EXPECT_EQ(lost_options("# a comment\nCONFIG_A=y\nCONFIG_C=m\n", config), "");
    EXPECT_EQ(lost_options("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n", config), "CONFIG_B=y, CONFIG_C=y");
}

TEST(SourceKernels, AreRefusedWithoutAConfiguration)
{
    try {
        source_kernel(source_kernel_name("9.9"), "/nowhere", [](const std::string &) {});
        FAIL() << "there is no such series";
    } catch (const std::exception &error) {
        EXPECT_NE(std::string(error.what()).find("/nowhere/9.9.config"), std::string::npos) << error.what();
    }
}

TEST(KernelPackages, RealOnesAreToldFromMetaPackages)
{
    EXPECT_EQ(release_of_image_package("linux-image-6.12.117+deb12-amd64"), "6.12.117+deb12-amd64");
    EXPECT_EQ(release_of_image_package("linux-image-6.1.0-56-amd64"), "6.1.0-56-amd64");
    EXPECT_FALSE(release_of_image_package("linux-image-amd64"));
    EXPECT_FALSE(release_of_image_package("linux-image-6.12-amd64"));
    EXPECT_FALSE(release_of_image_package("linux-image-6.12.117+deb12-amd64-dbg"));
    EXPECT_FALSE(release_of_image_package("linux-image-6.12.117+deb12-amd64-unsigned"));
    EXPECT_FALSE(release_of_image_package("linux-headers-6.12.117+deb12-amd64"));
}

TEST(KernelPackages, DependenciesFromBothFormsOfText)
{
    const std::string text = "linux-headers-6.12.117+deb12-amd64\n"
                             "  Depends: linux-base\n"
                             "  Depends: linux-headers-6.12.117+deb12-common\n"
                             " |Depends: linux-image-6.12.117+deb12-amd64\n"
                             "  Depends: linux-image-6.12.117+deb12-amd64-unsigned\n"
                             "  Depends: linux-kbuild-6.12.117+deb12\n"
                             "  Depends: gcc-12\n";
    const auto regex = "linux-headers-.*-common|linux-kbuild-.*";
    const Names wanted{"linux-headers-6.12.117+deb12-common", "linux-kbuild-6.12.117+deb12"};
    EXPECT_EQ(dependencies_matching(text, regex), wanted);
    EXPECT_EQ(dependencies_matching(
                  "linux-base (>= 4.12~), linux-headers-6.12.117+deb12-common (= 6.12.117-1~deb12u1), "
                  "linux-kbuild-6.12.117+deb12, gcc-12",
                  regex),
              wanted);
}

TEST(KernelPackages, HeadersMakefileLeadsToTheCache)
{
    EXPECT_EQ(relocated_makefile("include /usr/src/linux-headers-6.1.0-56-common/Makefile\n", "/c/root"),
              "include /c/root/usr/src/linux-headers-6.1.0-56-common/Makefile\n");
}

TEST(BzImage, OtherFilesHaveNoElfKernel)
{
    EXPECT_EQ(vmlinux_of_bzimage("", "empty"), "");
    EXPECT_EQ(vmlinux_of_bzimage(std::string(4096, 'x'), "x"), "");
    std::string header(4096, '\0');
    header.replace(0x202, 4, "HdrS");
    header.replace(0x206, 2, "\x0f\x02");
    header.replace(0x248, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"); // a payload outside the file
    EXPECT_EQ(vmlinux_of_bzimage(header, "x"), "");
}

TEST(Ldd, GivesLibrariesAndLoader)
{
    const auto libraries = parse_ldd("\tlinux-vdso.so.1 (0x00007ffd)\n"
                                     "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n"
                                     "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n");
    ASSERT_EQ(libraries.size(), 2u);
    EXPECT_EQ(libraries[0], "/lib/x86_64-linux-gnu/libc.so.6");
    EXPECT_EQ(libraries[1], "/lib64/ld-linux-x86-64.so.2");
    EXPECT_TRUE(parse_ldd("\tstatically linked\n").empty());
    EXPECT_THROW(parse_ldd("\tlibx.so => not found\n"), std::runtime_error);
}

TEST(ProgramVersion, IsTheFirstNumberWithADot)
{
    EXPECT_EQ(version_in("mkfs.erofs 1.5\n"), "1.5");
    EXPECT_EQ(version_in("mkfs.erofs (erofs-utils) 1.8.6, from 2025"), "1.8.6");
    EXPECT_EQ(version_in("usage: mkfs"), "");
}

TEST(Console, FindsWhatKilledTheKernel)
{
    EXPECT_EQ(find_kernel_death("a\n[    1.0] BUG: unable to handle page fault for address: 1\r\n"
                                "[    1.1] Kernel panic - not syncing: Fatal exception\n"),
              "BUG: unable to handle page fault for address: 1");
    EXPECT_EQ(find_kernel_death("[ 1.0] Kernel panic - not syncing: No init found."),
              "Kernel panic - not syncing: No init found.");
    EXPECT_EQ(find_kernel_death("all is well\n"), "");
}

} // namespace
} // namespace daxbench
