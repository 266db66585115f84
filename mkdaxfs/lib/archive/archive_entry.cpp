// SPDX-License-Identifier: Apache-2.0
#include "archive_entry.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <stdexcept>
#include <tuple>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include "acl.hpp"
#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

namespace {

std::uint32_t to_number(std::int64_t id, std::uint32_t most, const char *what, const std::string &shown)
{
    if (id < 0 || id > most)
        throw std::runtime_error(
            fmt::format("{}: expected a {} from 0 to {}, got {}", shown, what, most, id));
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
        default: acl.push_back({0xff, bits, no_id}); break; // none of Linux
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
unsigned permissions_with_acl(archive_entry *acl, unsigned permissions)
{
    permissions = (permissions & 07000U) | (archive_entry_perm(acl) & 0777U);
    for_each_acl_entry(acl, ARCHIVE_ENTRY_ACL_TYPE_ACCESS,
                       [&](int tag, std::uint16_t bits, int, const char *) {
                           if (tag == ARCHIVE_ENTRY_ACL_MASK)
                               permissions = (permissions & ~0070U) | bits << 3;
                       });
    return permissions;
}

using Entry = std::unique_ptr<archive_entry, void (*)(archive_entry *)>;

// Gathers what one entry's metadata is made of.
class Description {
public:
    Description(archive_entry *entry, const TarEntry *tar, const std::string &shown, NotKept &not_kept)
        : entry_(entry), tar_(tar), shown_(shown), not_kept_(not_kept)
    {
        permissions_ = tar ? tar->permissions : archive_entry_perm(entry) & 07777U;
    }

    EntryMetadata metadata()
    {
        check_type();
        if (tar_)
            add_pax();
        add_acl(ARCHIVE_ENTRY_ACL_TYPE_ACCESS, tar_ ? tar_->pax.acl_access : std::nullopt);
        add_acl(ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, tar_ ? tar_->pax.acl_default : std::nullopt);
        const unsigned type = archive_entry_filetype(entry_);
        // Of a symlink as symlink(2) makes it, whatever the archive says.
        node_.mode = static_cast<std::uint16_t>(type | (type == S_IFLNK ? 0777U : permissions_));
        add_numbers();
        return {node_, std::move(xattrs_)};
    }

private:
    void check_type() const
    {
        const auto type = archive_entry_filetype(entry_);
        constexpr unsigned types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK};
        if (std::find(std::begin(types), std::end(types), type) == std::end(types))
            throw std::runtime_error(fmt::format("{}: expected a file type that Linux has, got mode {:o}",
                                                 shown_, archive_entry_mode(entry_)));
    }

    void add_pax()
    {
        for (const auto &[kind, what] : tar_->pax.not_kept)
            not_kept_.add(kind, what + " of " + shown_);
        if (tar_->has_unknown_type)
            not_kept_.add(NotKept::type, shown_);
        for (const auto &[name, value] : tar_->pax.xattrs) {
            Xattr xattr;
            if (!split_xattr_name(name, xattr)) {
                not_kept_.add(NotKept::xattr, printable(name) + " of " + shown_);
                continue;
            }
            check_xattr(xattr.name.size(), value.size(), shown_);
            if (is_acl_index(xattr.index) && !is_acl(value)) {
                not_kept_.add(NotKept::acl, shown_);
                continue;
            }
            xattr.value = value;
            xattrs_.push_back(std::move(xattr));
        }
    }

    // Given as text, or by libarchive from a header of Solaris.
    void add_acl(int type, const std::optional<std::string> &text)
    {
        const bool is_access = type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
        const Entry parsed(archive_entry_new(), archive_entry_free);
        archive_entry *from = entry_;
        if (text) {
            archive_entry_set_mode(parsed.get(), static_cast<mode_t>(permissions_));
            if (text->find('\0') != text->npos ||
                archive_entry_acl_from_text(parsed.get(), text->c_str(), type) != ARCHIVE_OK)
                return not_kept_.add(NotKept::acl, shown_);
            from = parsed.get();
        }
        const std::string value = acl_value(from, type, shown_);
        if (!value.empty() && !is_acl(value))
            return not_kept_.add(NotKept::acl, shown_);
        if (is_access && (text || !value.empty()))
            permissions_ = permissions_with_acl(from, permissions_);
        if (!value.empty())
            xattrs_.push_back(
                {static_cast<std::uint8_t>(is_access ? DAXFS_XATTR_ACL_ACCESS : DAXFS_XATTR_ACL_DEFAULT), "",
                 value});
    }

    void add_numbers()
    {
        const PaxFields none;
        const PaxFields &pax = tar_ ? tar_->pax : none;
        // What Linux has no owner for is refused later, unless an option gives another.
        node_.uid = pax.uid ? *pax.uid : to_number(archive_entry_uid(entry_), no_owner, "user id", shown_);
        node_.gid = pax.gid ? *pax.gid : to_number(archive_entry_gid(entry_), no_owner, "group id", shown_);
        if (pax.mtime) {
            std::tie(node_.mtime_sec, node_.mtime_nsec) = *pax.mtime;
        } else if (archive_entry_mtime_is_set(entry_)) {
            node_.mtime_sec = archive_entry_mtime(entry_);
            // libarchive makes this of what is beyond it.
            if (node_.mtime_sec == INT64_MAX || node_.mtime_sec == INT64_MIN)
                throw std::runtime_error(shown_ + ": expected a time of 64 bits, got one beyond that");
        }
        if (S_ISCHR(node_.mode) || S_ISBLK(node_.mode))
            node_.data = device(pax.devmajor, archive_entry_rdevmajor(entry_)) << 32 |
                         device(pax.devminor, archive_entry_rdevminor(entry_));
    }

    std::uint64_t device(const std::optional<std::uint32_t> &pax, dev_t from_entry) const
    {
        return pax ? *pax
                   : to_number(static_cast<std::int64_t>(from_entry), UINT32_MAX, "device number", shown_);
    }

    archive_entry *entry_;
    const TarEntry *tar_;
    const std::string &shown_;
    NotKept &not_kept_;
    unsigned permissions_ = 0;
    Node node_;
    std::vector<Xattr> xattrs_;
};

} // namespace

EntryMetadata metadata_of(archive_entry *entry, const TarEntry *tar, const std::string &shown,
                          NotKept &not_kept)
{
    return Description(entry, tar, shown, not_kept).metadata();
}

} // namespace daxfs
