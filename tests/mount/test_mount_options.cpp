// SPDX-License-Identifier: Apache-2.0
// The options of mount.daxfs: what goes where, and what is refused before the kernel is asked.
#include <sstream>
#include <stdexcept>

#include <linux/mount.h>

#include <gtest/gtest.h>

#include "mount_daxfs.hpp"
#include "mount_options.hpp"

namespace {

using daxfs::Exporter;
using daxfs::MountOptions;

MountOptions parsed(std::string_view list)
{
    MountOptions options;
    daxfs::parse_options(list, options);
    return options;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(MountOptions, GoToTheModuleUnlessKnown)
{
    const auto options = parsed("ro,phys=4G,size=256M,debug,noatime,nodev,x-a=b,defaults,,a==");
    EXPECT_EQ(options.filesystem, (Pairs{{"phys", "4G"}, {"size", "256M"}, {"debug", ""}, {"a", "="}}));
    EXPECT_EQ(options.attributes, MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODEV);
    EXPECT_TRUE(options.read_only);
    EXPECT_FALSE(parsed("rw").read_only);
}

TEST(MountOptions, TheLastAttributeCounts)
{
    EXPECT_EQ(parsed("nosuid,suid").attributes, 0U);
    EXPECT_EQ(parsed("nosuid,suid").cleared, MOUNT_ATTR_NOSUID);
    EXPECT_EQ(parsed("suid,nosuid").attributes, MOUNT_ATTR_NOSUID);
    EXPECT_EQ(parsed("suid,nosuid").cleared, 0U);
    EXPECT_EQ(parsed("noatime,strictatime").attributes, MOUNT_ATTR_STRICTATIME);
}

TEST(MountOptions, QuotesKeepCommas)
{
    const auto options = parsed(R"(udmabuf,image="/a, b=c",phys=1)");
    EXPECT_EQ(options.image, "/a, b=c");
    EXPECT_EQ(options.exporter, Exporter::udmabuf);
    EXPECT_EQ(options.filesystem, (Pairs{{"phys", "1"}}));
    EXPECT_THROW(parsed("image=\"a"), std::invalid_argument);
}

TEST(MountOptions, NameOneMemory)
{
    EXPECT_THROW(parsed("udmabuf,dmabuf-heap=system"), std::invalid_argument);
    EXPECT_THROW(parsed("dmabuf=-1"), std::invalid_argument);
    EXPECT_THROW(parsed("dmabuf=3x"), std::invalid_argument);
    EXPECT_THROW(daxfs::check_options(parsed("udmabuf,image=a,dmabuf=3")), std::invalid_argument);
    EXPECT_THROW(daxfs::check_options(parsed("udmabuf")), std::invalid_argument);
    EXPECT_THROW(daxfs::check_options(parsed("image=a")), std::invalid_argument);
    EXPECT_THROW(daxfs::check_options(parsed("remount,udmabuf,image=a")), std::invalid_argument);
    EXPECT_NO_THROW(daxfs::check_options(parsed("dmabuf-heap=system,image=a")));
}

TEST(MountDaxfs, TakesTheCommandLineOfMount)
{
    std::ostringstream out, err;
    EXPECT_EQ(daxfs::mount_daxfs_main({"none"}, out, err), 1);
    EXPECT_NE(err.str().find("DIR is required"), std::string::npos) << err.str();
    err.str("");
    EXPECT_EQ(
        daxfs::mount_daxfs_main(
            {"none", "/nowhere", "-sfnv", "-t", "daxfs", "-o", "rw,udmabuf,image=/nowhere/image"}, out, err),
        2);
    EXPECT_EQ(err.str(), "mount.daxfs: /nowhere: cannot open /nowhere/image: No such file or directory\n");
}

} // namespace
