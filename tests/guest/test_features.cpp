// SPDX-License-Identifier: Apache-2.0
// What files, mappings and container roots need: checks of the probe inside one guest, on a tree with
// something for each of them.
#include <cstring>

#include <linux/capability.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "cache.hpp"
#include "harness.hpp"
#include "memory_tree.hpp"
#include "protocol.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::json;
using daxtest::MemoryFile;
using daxtest::MemoryTree;

template <typename T> void append(std::string &to, T value)
{
    to.append(reinterpret_cast<const char *>(&value), sizeof value);
}

/// Pages that begin with their number.
std::string numbered_pages(std::uint32_t count)
{
    std::string bytes;
    for (std::uint32_t i = 0; i < count; ++i) {
        append(bytes, i);
        bytes += "page";
        bytes.resize((i + std::size_t{1}) * 4096, static_cast<char>('a' + i % 26));
    }
    return bytes;
}

struct AclEntry {
    std::uint16_t tag;
    std::uint16_t perm;
    std::uint32_t id = 0xffffffff;
};

/// An ACL as getxattr(2) gives it.
std::string acl(std::initializer_list<AclEntry> entries)
{
    std::string value;
    append(value, std::uint32_t{2});
    for (const auto &entry : entries)
        append(value, entry);
    return value;
}

constexpr std::uint16_t user_obj = 1, user = 2, group_obj = 4, group = 8, mask = 16, other = 32;

/// struct vfs_cap_data, revision 2, effective.
std::string capabilities(std::uint32_t permitted)
{
    std::string value;
    append(value, std::uint32_t{VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE});
    for (const std::uint32_t word : {permitted, 0U, 0U, 0U})
        append(value, word);
    return value;
}

MemoryTree feature_tree()
{
    const MemoryFile dir{.mode = S_IFDIR | 0755};
    MemoryTree tree;
    tree["file"] = {.content = "content\n"};
    tree["pages"] = {.content = numbered_pages(1280)};
    tree["small-pages"] = {.content = numbered_pages(100)};
    tree["sparse"] = {.content = "start",
                      .pieces = {{(std::uint64_t{4} << 30) + 8192, "beyond 4 GiB"},
                                 {(std::uint64_t{5} << 30) + 120, "end"}}};
    for (int i = 0; i < 1000; ++i)
        tree["many/file-" + std::to_string(i)] = {.content = std::to_string(i)};
    tree["deep/er/est"] = dir;
    tree["deep/er/file"] = {.content = "deep"};
    tree["mine"] = {.mode = S_IFREG | 0600, .content = "mine", .uid = 1000, .gid = 1001};

    tree["types/reg"] = {};
    tree["types/dir"] = dir;
    tree["types/lnk"] = {.mode = S_IFLNK | 0777, .content = "reg"};
    tree["types/fifo"] = {.mode = S_IFIFO | 0644};
    tree["types/sock"] = {.mode = S_IFSOCK | 0644};
    tree["types/chr"] = {.mode = S_IFCHR | 0666, .major = 1, .minor = 3};
    tree["types/blk"] = {.mode = S_IFBLK | 0660, .major = 259, .minor = 1048575};

    const auto program = daxbench::read_file(daxtest::bench().build / "tests/guest/probe/guest-probe");
    tree["probe"] = {.mode = S_IFREG | 0755, .content = program};
    tree["with-capabilities"] = {
        .mode = S_IFREG | 0755,
        .content = program,
        .xattrs = {{"security.capability", capabilities(1U << CAP_NET_BIND_SERVICE | 1U << CAP_NET_RAW)}}};
    tree["attributes"] = {.xattrs = {{"user.name", "value"},
                                     {"user.empty", ""},
                                     {"user.large", std::string(60000, 'l')},
                                     {"trusted.name", "trusted value"},
                                     {"security.name", "security value"}}};
    const auto access =
        acl({{user_obj, 6}, {user, 4, 1000}, {group_obj, 4}, {group, 0, 2000}, {mask, 4}, {other, 0}});
    tree["acl"] = {.mode = S_IFREG | 0640, .content = "acl", .xattrs = {{"system.posix_acl_access", access}}};
    tree["acl-dir"] = {
        .mode = S_IFDIR | 0750,
        .xattrs = {
            {"system.posix_acl_access",
             acl({{user_obj, 7}, {user, 5, 1000}, {group_obj, 5}, {mask, 5}, {other, 0}})},
            {"system.posix_acl_default", acl({{user_obj, 7}, {group_obj, 5}, {mask, 5}, {other, 0}})}}};
    tree["acl-dir/inside"] = {.content = "inside"};

    tree["layers/bottom/both/bottom"] = {.content = "bottom"};
    tree["layers/bottom/opaque/old"] = {.content = "old"};
    tree["layers/bottom/origin/inside"] = {.content = "moved along"};
    tree["layers/bottom/meta"] = {.content = "data below"};
    tree["layers/bottom/gone"] = {.content = "gone"};
    tree["layers/top/both/top"] = {.content = "top"};
    tree["layers/top/opaque"] = dir;
    tree["layers/top/opaque"].xattrs = {{"trusted.overlay.opaque", "y"}};
    tree["layers/top/opaque/new"] = {.content = "new"};
    tree["layers/top/moved"] = dir;
    tree["layers/top/moved"].xattrs = {{"trusted.overlay.redirect", "/origin"}};
    tree["layers/top/meta"] = {.mode = S_IFREG | 0600,
                               .xattrs = {{"trusted.overlay.metacopy", ""}},
                               .pieces = {{0, std::string(10, '\0')}}};
    tree["layers/top/gone"] = {.mode = S_IFCHR | 0600};
    tree["layers/user/opaque"] = dir;
    tree["layers/user/opaque"].xattrs = {{"user.overlay.opaque", "y"}};
    tree["layers/user/opaque/new"] = {.content = "new"};
    tree["layers/user/both"] = dir;
    return tree;
}

/// Each test is the probe's suite of the same name; one guest for all.
class Features : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        dir_ = new daxbench::TempDir;
        const auto image = dir_->path() / "image";
        daxtest::make_image(feature_tree(), image);
        daxtest::BootOptions options;
        options.modules = {"daxfs", "overlay", "loop"};
        guest_ = new daxbench::Guest(daxtest::boot(image, dir_->path() / "logs", options));
        hash_ = daxbench::xxh3_file(image);
        daxtest::mount(*guest_);
    }

    static void TearDownTestSuite()
    {
        delete guest_;
        delete dir_;
    }

    static void check(const std::string &suite)
    {
        const auto result = daxtest::run(
            *guest_, {"/bin/probe", "--gtest_color=no", "--gtest_brief=1", "--gtest_filter=" + suite});
        const auto out = daxbench::percent_decode(result.at("stdout").get<std::string>());
        EXPECT_EQ(result.at("status"), 0)
            << out << daxbench::percent_decode(result.at("stderr").get<std::string>());
        EXPECT_EQ(out.find("0 tests ran"), std::string::npos) << out;
        daxtest::expect_clean_log(*guest_);
    }

    static inline daxbench::TempDir *dir_;
    static inline daxbench::Guest *guest_;
    static inline std::string hash_;
};

TEST_F(Features, Files)
{
    check("Files.*");
}
TEST_F(Features, Handles)
{
    check("Handles.*");
}
TEST_F(Features, Attributes)
{
    check("Attributes.*");
}
TEST_F(Features, Overlays)
{
    check("Overlays.*");
}
TEST_F(Features, MappingsOfAlignedFiles)
{
    check("Aligned/Mappings.*");
}
TEST_F(Features, MappingsOfPackedFiles)
{
    check("Packed/Mappings.*");
}
TEST_F(Features, Tracepoints)
{
    check("Tracepoints.*");
}
TEST_F(Features, Programs)
{
    check("Programs.*");
}
TEST_F(Features, Allocations)
{
    if (daxtest::bench().patience > 1)
        GTEST_SKIP() << "this kernel's own checkers allocate";
    check("*Allocations*");
}

TEST_F(Features, LeaveTheImageAsItWas)
{
    EXPECT_EQ(daxbench::xxh3_file(dir_->path() / "image"), hash_);
}

} // namespace
