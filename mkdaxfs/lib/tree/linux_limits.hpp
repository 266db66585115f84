// SPDX-License-Identifier: Apache-2.0
// What no Linux mount could show, whatever an image says: mkdaxfs refuses it, fsck.daxfs names it. The
// values are those of Linux 6.1 to 7.3 on 64 bits, whose files are named beside them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <fmt/core.h>

#include "error.hpp"
#include "xattr_sets.hpp"

namespace daxfs {

inline constexpr std::uint32_t linux_id_max = 0xfffffffe;  // include/linux/uidgid.h, uid_valid(): -1 is none
inline constexpr std::uint64_t linux_file_max = INT64_MAX; // include/linux/fs.h, MAX_LFS_FILESIZE
inline constexpr std::uint64_t linux_name_max = 255;       // include/uapi/linux/limits.h, NAME_MAX
inline constexpr std::uint64_t linux_target_max = 4095;    // the same, PATH_MAX, which counts a NUL
inline constexpr std::uint64_t linux_xattr_name_max = 255; // the same, XATTR_NAME_MAX: with its prefix
inline constexpr std::uint64_t linux_xattr_value_max = 65536;    // the same, XATTR_SIZE_MAX
inline constexpr std::uint64_t linux_xattr_list_max = 65536;     // the same, XATTR_LIST_MAX, all with NULs
inline constexpr std::uint32_t linux_major_max = (1U << 12) - 1; // include/linux/kdev_t.h: dev_t has 32 bits,
inline constexpr std::uint32_t linux_minor_max = (1U << 20) - 1; // MINORBITS of them the minor's
inline constexpr std::uint32_t linux_nsec_max = 999999999;       // include/vdso/time64.h, NSEC_PER_SEC
// Seconds have no limit here: time64_t is signed 64 bits, and the module says that it keeps all of them
// (s_time_min, s_time_max).

// An inode as far as there are limits. A name is not its own, but an entry's.
struct LinuxInode {
    std::uint32_t mode = 0; // with its type
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t size = 0; // of a file, or a link's target
    std::uint64_t device_major = 0;
    std::uint64_t device_minor = 0;
    std::uint64_t mtime_nsec = 0;
};

using LinuxComplaint = std::function<void(const std::string &what)>;

// Can getxattr(2) give it, on an inode of this type? fs/xattr.c, xattr_permission(), has user.* on regular
// files and directories, in 7.3 on sockets, too; a symlink has no ACL (kmod/inode.c; fs/posix_acl.c).
inline bool linux_shows_xattr(std::uint32_t mode, const Xattr &xattr)
{
    const std::string full = join_xattr_name(xattr.index, xattr.name);
    if (full.starts_with("user."))
        return S_ISREG(mode) || S_ISDIR(mode) || S_ISSOCK(mode);
    return !S_ISLNK(mode) || !full.starts_with("system.");
}

// fs/xattr.c: import_xattr_name() refuses a longer name, listxattr() a longer list.
inline void check_linux_xattrs(const std::vector<Xattr> &xattrs, const LinuxComplaint &complain)
{
    std::uint64_t list = 0;
    for (const Xattr &xattr : xattrs) {
        const std::string full = join_xattr_name(xattr.index, xattr.name);
        list += full.size() + 1;
        if (full.size() > linux_xattr_name_max)
            complain(fmt::format("the name of an extended attribute has {} bytes, Linux has {} at most: {}",
                                 full.size(), linux_xattr_name_max, printable(full)));
        if (xattr.value.size() > linux_xattr_value_max)
            complain(fmt::format("the value of {} has {} bytes, Linux has {} at most", printable(full),
                                 xattr.value.size(), linux_xattr_value_max));
    }
    if (list > linux_xattr_list_max)
        complain(fmt::format("the names of its {} extended attributes have {} bytes, Linux lists {} at most",
                             xattrs.size(), list, linux_xattr_list_max));
}

// The one check of all values but names and extended attributes.
inline void check_linux_inode(const LinuxInode &inode, const LinuxComplaint &complain)
{
    const auto at_most = [&](const char *what, std::uint64_t value, std::uint64_t most) {
        if (value > most)
            complain(fmt::format("{} is {}, Linux has {} at most", what, value, most));
    };
    at_most("uid", inode.uid, linux_id_max);
    at_most("gid", inode.gid, linux_id_max);
    at_most("the nanoseconds of mtime", inode.mtime_nsec, linux_nsec_max);
    if (S_ISREG(inode.mode))
        at_most("size", inode.size, linux_file_max);
    if (S_ISLNK(inode.mode))
        at_most("the length of the link's target", inode.size, linux_target_max);
    if (S_ISLNK(inode.mode) && inode.size == 0)
        complain("the link's target is empty, Linux has none such");
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) {
        at_most("the device's major number", inode.device_major, linux_major_max);
        at_most("the device's minor number", inode.device_minor, linux_minor_max);
    }
}

} // namespace daxfs
