// SPDX-License-Identifier: Apache-2.0
#include "archive_entry.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <tuple>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <archive_entry.h>
#include <fmt/core.h>

#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

namespace {

std::uint32_t to_id(std::int64_t id, const char *what, const std::string &shown)
{
    if (id < 0 || id > UINT32_MAX)
        throw std::runtime_error(fmt::format("{}: expected a {} of 32 bits, got {}", shown, what, id));
    return static_cast<std::uint32_t>(id);
}

// One entry of an ACL as getxattr(2) gives it.
struct AclEntry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id;

    auto operator<=>(const AclEntry &) const = default;
};
static_assert(sizeof(AclEntry) == 8);

constexpr std::uint32_t acl_version = 2;
constexpr std::uint32_t no_id = 0xffffffff;

// GNU tar writes names, not numbers; they mean what they mean here.
std::uint32_t acl_id(int tag, int id, const char *name, const std::string &shown)
{
    // libarchive makes this of every larger one.
    if (id == std::numeric_limits<int>::max())
        throw std::runtime_error(
            fmt::format("{}: expected an ACL with owners below {}, got this one or more", shown, id));
    if (id >= 0)
        return static_cast<std::uint32_t>(id);
    if (name && tag == ARCHIVE_ENTRY_ACL_USER) {
        if (const passwd *user = getpwnam(name))
            return user->pw_uid;
    } else if (name) {
        if (const group *group = getgrnam(name))
            return group->gr_gid;
    }
    throw std::runtime_error(fmt::format("{}: its ACL names {}, which is unknown here: add that to "
                                         "/etc/passwd or /etc/group, or make the archive without ACLs",
                                         shown, printable(name ? name : "nobody")));
}

// tell(tag, permissions, id, name) for each entry of an ACL; id is -1 where only a name is known.
template <typename Tell> void for_each_acl_entry(archive_entry *entry, int wanted, const Tell &tell)
{
    archive_entry_acl_reset(entry, wanted);
    int type = 0;
    int permissions = 0;
    int tag = 0;
    int id = 0;
    const char *name = nullptr;
    while (archive_entry_acl_next(entry, wanted, &type, &permissions, &tag, &id, &name) == 0)
        tell(tag, static_cast<std::uint16_t>(permissions & 7), id, name);
}

std::string acl_value(archive_entry *entry, int type, const std::string &shown)
{
    if (archive_entry_acl_reset(entry, type) == 0)
        return "";
    std::vector<AclEntry> acl;
    for_each_acl_entry(entry, type, [&](int tag, std::uint16_t bits, int id, const char *name) {
        switch (tag) {
        case ARCHIVE_ENTRY_ACL_USER_OBJ: acl.push_back({0x01, bits, no_id}); break;
        case ARCHIVE_ENTRY_ACL_USER: acl.push_back({0x02, bits, acl_id(tag, id, name, shown)}); break;
        case ARCHIVE_ENTRY_ACL_GROUP_OBJ: acl.push_back({0x04, bits, no_id}); break;
        case ARCHIVE_ENTRY_ACL_GROUP: acl.push_back({0x08, bits, acl_id(tag, id, name, shown)}); break;
        case ARCHIVE_ENTRY_ACL_MASK: acl.push_back({0x10, bits, no_id}); break;
        case ARCHIVE_ENTRY_ACL_OTHER: acl.push_back({0x20, bits, no_id}); break;
        default: throw std::runtime_error(shown + ": an ACL entry of a kind that Linux has not");
        }
    });
    std::sort(acl.begin(), acl.end(), [](const AclEntry &a, const AclEntry &b) {
        return std::tie(a.tag, a.id) < std::tie(b.tag, b.id);
    });
    std::string value(sizeof(acl_version) + acl.size() * sizeof(AclEntry), '\0');
    std::memcpy(value.data(), &acl_version, sizeof(acl_version));
    std::memcpy(value.data() + sizeof(acl_version), acl.data(), acl.size() * sizeof(AclEntry));
    return value;
}

// Of a file with an ACL that has a mask, the mode's group permissions are the mask. libarchive puts those
// of the owning group there.
std::uint16_t mode_of(archive_entry *entry)
{
    unsigned mode = archive_entry_mode(entry);
    if (S_ISLNK(mode))
        return S_IFLNK | 0777; // as symlink(2) makes it, whatever the archive says
    for_each_acl_entry(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS,
                       [&](int tag, std::uint16_t bits, int, const char *) {
                           if (tag == ARCHIVE_ENTRY_ACL_MASK)
                               mode = (mode & ~0070U) | bits << 3;
                       });
    return static_cast<std::uint16_t>(mode);
}

} // namespace

Node node_of(archive_entry *entry, const std::string &shown)
{
    Node node;
    node.mode = mode_of(entry);
    node.uid = to_id(archive_entry_uid(entry), "user id", shown);
    node.gid = to_id(archive_entry_gid(entry), "group id", shown);
    if (archive_entry_mtime_is_set(entry)) {
        node.mtime_sec = archive_entry_mtime(entry);
        node.mtime_nsec = static_cast<std::uint32_t>(archive_entry_mtime_nsec(entry)) % 1000000000;
    }
    if (S_ISCHR(node.mode) || S_ISBLK(node.mode))
        node.data = static_cast<std::uint64_t>(to_id(
                        static_cast<std::int64_t>(archive_entry_rdevmajor(entry)), "device number", shown))
                        << 32 |
                    to_id(static_cast<std::int64_t>(archive_entry_rdevminor(entry)), "device number", shown);
    switch (node.mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK: return node;
    default:
        throw std::runtime_error(
            fmt::format("{}: expected a file type that Linux has, got mode {:o}", shown, node.mode));
    }
}

std::vector<Xattr> xattrs_of(archive_entry *entry, const std::string &shown)
{
    std::vector<Xattr> xattrs;
    const char *name = nullptr;
    const void *value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == 0) {
        Xattr xattr;
        if (!name || !split_xattr_name(name, xattr))
            continue;
        check_xattr(xattr.name.size(), size, shown);
        if (size != 0)
            xattr.value.assign(static_cast<const char *>(value), size);
        xattrs.push_back(std::move(xattr));
    }
    const std::string access = acl_value(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, shown);
    if (!access.empty())
        xattrs.push_back({DAXFS_XATTR_ACL_ACCESS, "", access});
    const std::string inherited = acl_value(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, shown);
    if (!inherited.empty())
        xattrs.push_back({DAXFS_XATTR_ACL_DEFAULT, "", inherited});
    return xattrs;
}

} // namespace daxfs
