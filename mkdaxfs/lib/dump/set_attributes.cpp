// SPDX-License-Identifier: Apache-2.0
#include "set_attributes.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>

#include "linux_limits.hpp"
#include "unique_fd.hpp"

namespace daxfs {

namespace {

constexpr const char *acls[] = {"system.posix_acl_access", "system.posix_acl_default"};

// Never through a symlink that someone else has put in its place.
bool set_mode(int dir, const std::string &name, mode_t mode)
{
    const UniqueFd file(openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    return file && chmod(fmt::format("/proc/self/fd/{}", file.get()).c_str(), mode) == 0;
}

bool is_owner(const struct stat &st, const daxfs_attr &attr)
{
    return st.st_uid == attr.uid && st.st_gid == attr.gid;
}

} // namespace

bool drop_xattr(int fd, const char *name)
{
    return fgetxattr(fd, name, nullptr, 0) < 0 || fremovexattr(fd, name) == 0;
}

void SetAttributes::lost(const std::string &path, const std::string &what, const char *why)
{
    losses_.add(path, "cannot set " + what, why);
}

void SetAttributes::lost(const std::string &path, const std::string &what)
{
    lost(path, what, std::strerror(errno));
}

// To chown(2) an id of -1 means to leave it.
bool SetAttributes::is_valid_owner(const daxfs_attr &attr, const std::string &path)
{
    if (attr.uid <= linux_id_max && attr.gid <= linux_id_max)
        return true;
    lost(path, "its owner", "4294967295 is no id");
    return false;
}

mode_t SetAttributes::mode_of(const daxfs_attr &attr, bool is_owned, const std::string &path)
{
    if (!is_owned && keeps_owners_ && (attr.mode & (S_ISUID | S_ISGID)) != 0)
        lost(path, "set-user-ID and set-group-ID", "it has another owner");
    return attr.mode & (is_owned ? 07777 : 01777);
}

// What a filesystem has no room for it changes without a word.
void SetAttributes::compare_time(const struct stat &now, const daxfs_attr &attr, const std::string &path)
{
    if (now.st_mtim.tv_sec != attr.mtime_sec || now.st_mtim.tv_nsec != attr.mtime_nsec)
        lost(path, "its time", "the filesystem does not hold it");
}

// The owner before the mode and capabilities, which a change of owner takes away.
void SetAttributes::of_fd(int fd, const daxfs_attr &attr, const std::string &path)
{
    if (keeps_owners_ && is_valid_owner(attr, path) && fchown(fd, attr.uid, attr.gid) != 0)
        lost(path, "its owner");
    for (const char *name : acls) {
        if (drops_acls_ && !drop_xattr(fd, name))
            lost(path, "its ACL");
    }
    for (const Xattr &xattr : reader_.xattrs(attr.node)) {
        const std::string full = join_xattr_name(xattr.index, xattr.name);
        if (fsetxattr(fd, full.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
            lost(path, full);
    }
    struct stat now = {};
    const bool is_owned = fstat(fd, &now) == 0 && is_owner(now, attr);
    if (fchmod(fd, mode_of(attr, is_owned, path)) != 0)
        lost(path, "its mode");
    const timespec times[2] = {{0, UTIME_OMIT}, {attr.mtime_sec, attr.mtime_nsec}};
    if (futimens(fd, times) != 0 || fstat(fd, &now) != 0)
        lost(path, "its time");
    else
        compare_time(now, attr, path);
}

void SetAttributes::of_name(int dir, const std::string &name, const daxfs_attr &attr, const std::string &path)
{
    if (keeps_owners_ && is_valid_owner(attr, path) &&
        fchownat(dir, name.c_str(), attr.uid, attr.gid, AT_SYMLINK_NOFOLLOW) != 0)
        lost(path, "its owner");
    struct stat now = {};
    const bool is_owned = fstatat(dir, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && is_owner(now, attr);
    const std::string proc = fmt::format("/proc/self/fd/{}/{}", dir, name);
    if (drops_acls_ && !S_ISLNK(attr.mode) && lgetxattr(proc.c_str(), acls[0], nullptr, 0) >= 0 &&
        lremovexattr(proc.c_str(), acls[0]) != 0)
        lost(path, "its ACL");
    if (!S_ISLNK(attr.mode) && !set_mode(dir, name, mode_of(attr, is_owned, path)))
        lost(path, "its mode");
    for (const Xattr &xattr : reader_.xattrs(attr.node)) {
        const std::string full = join_xattr_name(xattr.index, xattr.name);
        if (lsetxattr(proc.c_str(), full.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
            lost(path, full);
    }
    const timespec times[2] = {{0, UTIME_OMIT}, {attr.mtime_sec, attr.mtime_nsec}};
    if (utimensat(dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstatat(dir, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0)
        lost(path, "its time");
    else
        compare_time(now, attr, path);
}

} // namespace daxfs
