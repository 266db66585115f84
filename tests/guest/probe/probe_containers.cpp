// SPDX-License-Identifier: Apache-2.0
// What a container's root needs: attributes, ACLs, OverlayFS above it, mapped owners.
#include <fstream>
#include <set>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "probe.hpp"

namespace probe {

using daxbench::UniqueFd;

namespace {

std::string xattr_of(const std::string &path, const std::string &name)
{
    std::string value(65536, '\0');
    const ssize_t got = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    return got < 0 ? strerror(errno) : value.substr(0, static_cast<std::size_t>(got));
}

std::set<std::string> xattrs_of(const std::string &path)
{
    std::string names(65536, '\0');
    const ssize_t got = llistxattr(path.c_str(), names.data(), names.size());
    std::set<std::string> found;
    for (ssize_t at = 0; at < got;) {
        found.insert(names.c_str() + at);
        at += static_cast<ssize_t>(std::strlen(names.c_str() + at)) + 1;
    }
    return found;
}

/// As another user, without any capability; gives the errno of what `body` did, 0 when it worked.
int errno_as(uid_t uid, gid_t gid, const std::function<int()> &body)
{
    const int status = in_child([&] {
        if (syscall(SYS_setgroups, 0, nullptr) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            return 255;
        return body() < 0 ? errno : 0;
    });
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

int open_and_close(const std::string &path)
{
    const int fd = open(path.c_str(), O_RDONLY);
    return fd < 0 ? -1 : close(fd);
}

std::string content_of(const std::string &path)
{
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const std::string &path, const std::string &text)
{
    std::ofstream file(path);
    file << text;
    ASSERT_TRUE(file.flush()) << path;
}

/// An overlay, unmounted at the end.
class Overlay {
public:
    explicit Overlay(const std::string &options)
    {
        mkdir("/tmp/merged", 0755);
        if (mount("overlay", "/tmp/merged", "overlay", 0, options.c_str()) < 0)
            daxbench::throw_errno("cannot mount an overlay with " + options);
    }
    ~Overlay() { EXPECT_EQ(umount("/tmp/merged"), 0) << strerror(errno); }
};

} // namespace

TEST(Attributes, OfEveryNamespace)
{
    const auto path = root + "/attributes";
    EXPECT_EQ(xattr_of(path, "user.name"), "value");
    EXPECT_EQ(xattr_of(path, "user.empty"), "");
    EXPECT_EQ(xattr_of(path, "user.large"), std::string(60000, 'l'));
    EXPECT_EQ(xattr_of(path, "trusted.name"), "trusted value");
    EXPECT_EQ(xattr_of(path, "security.name"), "security value");
    EXPECT_EQ(xattr_of(path, "user.none"), strerror(ENODATA));
    EXPECT_EQ(xattrs_of(path), (std::set<std::string>{"user.name", "user.empty", "user.large", "trusted.name",
                                                      "security.name"}));
    char small[3];
    EXPECT_ERRNO(getxattr(path.c_str(), "user.name", small, sizeof small), ERANGE);
    EXPECT_ERRNO(listxattr(path.c_str(), small, sizeof small), ERANGE);
    EXPECT_ERRNO(setxattr(path.c_str(), "user.name", "x", 1, 0), EROFS);
    EXPECT_EQ(xattrs_of(root + "/file"), std::set<std::string>{});
}

TEST(Attributes, TrustedOnesAreHiddenFromUsers)
{
    const auto path = root + "/attributes";
    EXPECT_EQ(errno_as(1000, 1000,
                       [&] {
                           const auto names = xattrs_of(path);
                           errno = names.contains("trusted.name") ? E2BIG : 0;
                           return names.size() == 4 && !errno ? 0 : -1;
                       }),
              0);
    EXPECT_EQ(errno_as(1000, 1000,
                       [&] { return static_cast<int>(getxattr(path.c_str(), "trusted.name", nullptr, 0)); }),
              ENODATA);
}

TEST(Attributes, AclsGrantAndDeny)
{
    // Mode 0640 of root; the ACL lets user 1000 read, group 2000 not.
    const auto path = root + "/acl";
    EXPECT_EQ(errno_as(1000, 1000, [&] { return open_and_close(path); }), 0);
    EXPECT_EQ(errno_as(1001, 1001, [&] { return open_and_close(path); }), EACCES);
    EXPECT_EQ(errno_as(1001, 2000, [&] { return open_and_close(path); }), EACCES);
    EXPECT_EQ(errno_as(1001, 0, [&] { return open_and_close(path); }), 0);
    EXPECT_EQ(xattrs_of(path), std::set<std::string>{"system.posix_acl_access"});
    EXPECT_EQ(xattr_of(path, "system.posix_acl_access").size(), 4U + 6 * 8);
    EXPECT_EQ(xattr_of(path, "system.posix_acl_default"), strerror(ENODATA));
    EXPECT_EQ(xattr_of(root + "/file", "system.posix_acl_access"), strerror(ENODATA));
    const auto dir = root + "/acl-dir";
    EXPECT_EQ(xattrs_of(dir), (std::set<std::string>{"system.posix_acl_access", "system.posix_acl_default"}));
    EXPECT_EQ(xattr_of(dir, "system.posix_acl_default").size(), 4U + 4 * 8);
    EXPECT_EQ(errno_as(1000, 1000, [&] { return open_and_close(dir + "/inside"); }), 0);
    EXPECT_EQ(errno_as(1001, 1001, [&] { return open_and_close(dir + "/inside"); }), EACCES);
}

TEST(Attributes, FileCapabilitiesWork)
{
    // cap_net_raw,cap_net_bind_service=ep on a program that prints its own.
    int ends[2];
    ASSERT_OK(pipe(ends));
    EXPECT_EQ(errno_as(1000, 1000,
                       [&] {
                           dup2(ends[1], 1);
                           return execl((root + "/with-capabilities").c_str(), "probe", "capabilities",
                                        nullptr);
                       }),
              0);
    char text[200] = {};
    ASSERT_GT(read(ends[0], text, sizeof text - 1), 0);
    EXPECT_STREQ(text, "CapEff:\t0000000000002400\n");
    close(ends[0]);
    close(ends[1]);
}

TEST(Overlays, FollowWhatTheLayersSay)
{
    const Overlay overlay("lowerdir=" + root + "/layers/top:" + root +
                          "/layers/bottom,redirect_dir=follow,metacopy=on");
    const std::string merged = "/tmp/merged";
    EXPECT_EQ(content_of(merged + "/both/top"), "top");
    EXPECT_EQ(content_of(merged + "/both/bottom"), "bottom");
    EXPECT_EQ(content_of(merged + "/opaque/new"), "new");
    EXPECT_ERRNO(access((merged + "/opaque/old").c_str(), F_OK), ENOENT);
    EXPECT_ERRNO(access((merged + "/gone").c_str(), F_OK), ENOENT);
    EXPECT_EQ(content_of(merged + "/moved/inside"), "moved along");
    struct stat st;
    ASSERT_OK(stat((merged + "/meta").c_str(), &st));
    EXPECT_EQ(st.st_mode & 07777, 0600U);                  // from the top
    EXPECT_EQ(content_of(merged + "/meta"), "data below"); // from the bottom
}

TEST(Overlays, FollowUserAttributes)
{
    const Overlay overlay("lowerdir=" + root + "/layers/user:" + root + "/layers/bottom,userxattr");
    EXPECT_ERRNO(access("/tmp/merged/opaque/old", F_OK), ENOENT);
    EXPECT_EQ(content_of("/tmp/merged/opaque/new"), "new");
    EXPECT_EQ(content_of("/tmp/merged/both/bottom"), "bottom");
}

TEST(Overlays, WriteToTheUpperLayer)
{
    for (const char *dir : {"/tmp/upper", "/tmp/work"})
        mkdir(dir, 0755);
    {
        const Overlay overlay("lowerdir=" + root +
                              ",upperdir=/tmp/upper,workdir=/tmp/work,"
                              "redirect_dir=on,metacopy=on,index=on,nfs_export=off");
        write_text("/tmp/merged/file", "changed");
        EXPECT_EQ(content_of("/tmp/merged/file"), "changed");
        ASSERT_OK(rename("/tmp/merged/deep", "/tmp/merged/shallow"));
        EXPECT_EQ(content_of("/tmp/merged/shallow/er/file"), "deep");
        ASSERT_OK(chmod("/tmp/merged/pages", 0600)); // metadata only
        ASSERT_OK(unlink("/tmp/merged/sparse"));
        write_text("/tmp/merged/types/dir/added", "added");
    }
    EXPECT_EQ(content_of("/tmp/upper/file"), "changed");
    EXPECT_EQ(content_of(root + "/file"), "content\n");
    EXPECT_EQ(content_of(root + "/deep/er/file"), "deep");
    struct stat st;
    ASSERT_OK(stat("/tmp/upper/pages", &st));
    EXPECT_EQ(st.st_blocks, 0) << "data was copied up for a change of mode";
    // The same layers once more, with what was changed.
    const Overlay again("lowerdir=" + root +
                        ",upperdir=/tmp/upper,workdir=/tmp/work,"
                        "redirect_dir=on,metacopy=on,index=on");
    EXPECT_EQ(content_of("/tmp/merged/file"), "changed");
    EXPECT_EQ(content_of("/tmp/merged/shallow/er/file"), "deep");
    EXPECT_ERRNO(access("/tmp/merged/sparse", F_OK), ENOENT);
    EXPECT_EQ(content_of("/tmp/merged/types/dir/added"), "added");
}

namespace {

/// A user namespace with a map of its own, held by nothing but the descriptor.
UniqueFd user_namespace(const std::string &map)
{
    int ready[2], done[2];
    if (pipe(ready) || pipe(done))
        daxbench::throw_errno("pipe");
    const pid_t child = fork();
    if (child == 0) {
        char byte = unshare(CLONE_NEWUSER) ? 'n' : 'y';
        (void)!write(ready[1], &byte, 1);
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    char byte = 0;
    (void)!read(ready[0], &byte, 1);
    const auto proc = "/proc/" + std::to_string(child);
    std::ofstream(proc + "/uid_map") << map;
    std::ofstream(proc + "/gid_map") << map;
    UniqueFd space = open_read(proc + "/ns/user");
    (void)!write(done[1], "x", 1);
    waitpid(child, nullptr, 0);
    for (const int fd : {ready[0], ready[1], done[0], done[1]})
        close(fd);
    return space;
}

} // namespace

TEST(Overlays, NoneIsNeededForMappedOwners)
{
    const UniqueFd space = user_namespace("1000 5000 10\n");
    const UniqueFd tree(
        static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, root.c_str(), OPEN_TREE_CLONE | O_CLOEXEC)));
    ASSERT_TRUE(tree) << strerror(errno);
    mount_attr attr = {};
    attr.attr_set = MOUNT_ATTR_IDMAP;
    attr.userns_fd = static_cast<std::uint64_t>(space.get());
    ASSERT_OK(syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attr, sizeof attr));
    struct stat st;
    ASSERT_OK(fstatat(tree.get(), "mine", &st, 0)); // of 1000:1001, mode 0600
    EXPECT_EQ(st.st_uid, 5000U);
    EXPECT_EQ(st.st_gid, 5001U);
    ASSERT_OK(fstatat(tree.get(), "file", &st, 0));
    EXPECT_EQ(st.st_uid, 65534U);
    const auto open_mine = [&] {
        const int fd = openat(tree.get(), "mine", O_RDONLY);
        return fd < 0 ? -1 : close(fd);
    };
    EXPECT_EQ(errno_as(5000, 5000, open_mine), 0);
    EXPECT_EQ(errno_as(1000, 1000, open_mine), EACCES);
    // The ACL's user 1000 is 5000 here.
    const auto open_acl = [&] {
        const int fd = openat(tree.get(), "acl", O_RDONLY);
        return fd < 0 ? -1 : close(fd);
    };
    EXPECT_EQ(errno_as(5000, 5009, open_acl), 0);
    EXPECT_EQ(errno_as(1000, 1000, open_acl), EACCES);
}

} // namespace probe
