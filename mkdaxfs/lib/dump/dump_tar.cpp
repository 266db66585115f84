// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <memory>
#include <ostream>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <vector>

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include "acl.hpp"
#include "daxfs_format.h"
#include "dump_text.hpp"
#include "error.hpp"
#include "image_walk.hpp"
#include "thread_locale.hpp"

namespace daxfs {

namespace {

// libarchive writes -5.75 s as "-6.25", its seconds and nanoseconds side by side; pax(1) and GNU tar mean a
// decimal number. In the one second before 1970 it has no way to say that, and the fraction is lost.
void set_mtime(archive_entry *entry, const daxfs_attr &attr)
{
    constexpr long second = 1'000'000'000;
    if (attr.mtime_sec >= 0 || attr.mtime_nsec == 0)
        archive_entry_set_mtime(entry, attr.mtime_sec, attr.mtime_nsec);
    else if (attr.mtime_sec == -1)
        archive_entry_set_mtime(entry, attr.mtime_sec, 0);
    else
        archive_entry_set_mtime(entry, attr.mtime_sec + 1, second - static_cast<long>(attr.mtime_nsec));
}

la_ssize_t put_bytes(archive *to, void *stream, const void *bytes, std::size_t size)
{
    auto &out = *static_cast<std::ostream *>(stream);
    out.write(static_cast<const char *>(bytes), static_cast<std::streamsize>(size));
    if (out)
        return static_cast<la_ssize_t>(size);
    archive_set_error(to, EIO, "cannot write the archive");
    return ARCHIVE_FATAL;
}

// An archive's extended attributes are in one header an entry, of which libarchive's reader takes
// as much as this; tar headers are blocks.
constexpr la_int64_t max_header = 1 << 20;
constexpr la_int64_t block = 512;

// What can be said of a whole archive only, before it is opened.
struct Spelling {
    bool names_are_kept = true;
    bool xattr_names_are_kept = true;
};

// libarchive's reader puts UTF-8 names into composed form (NFC), its writer makes one character
// of a pair of surrogates. Neither can be in what has but these first bytes.
bool is_name_kept(std::string_view name)
{
    return std::all_of(name.begin(), name.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0xcc || (byte >= 0xce && byte <= 0xd1) || (byte >= 0xe4 && byte <= 0xe9);
    });
}

// libarchive's writer spells the others with %.
bool is_xattr_name_kept(std::string_view name)
{
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return c > ' ' && c < '\x7f' && c != '%' && c != '='; });
}

Spelling look_at_names(const ImageReader &reader)
{
    Spelling spelling;
    std::unordered_set<std::uint64_t> sets;
    for (std::uint64_t ino = 1; ino <= reader.image().inode_count; ++ino) {
        const daxfs_attr attr = reader.inode(ino);
        if (S_ISLNK(attr.mode))
            spelling.names_are_kept &= is_name_kept(reader.target(attr.node));
        for (std::uint32_t i = 0; S_ISDIR(attr.mode) && i < attr.node.count; ++i) {
            const daxfs_entry entry = reader.entry(attr.node, i);
            spelling.names_are_kept &=
                is_name_kept({reinterpret_cast<const char *>(entry.name), entry.name_len});
        }
        if (!sets.insert(attr.node.xattr).second)
            continue;
        for (const Xattr &xattr : reader.xattrs(attr.node))
            spelling.xattr_names_are_kept &= is_xattr_name_kept(xattr.name);
    }
    return spelling;
}

int archive_tag(unsigned tag)
{
    switch (tag) {
    case ACL_USER_OBJ: return ARCHIVE_ENTRY_ACL_USER_OBJ;
    case ACL_USER: return ARCHIVE_ENTRY_ACL_USER;
    case ACL_GROUP_OBJ: return ARCHIVE_ENTRY_ACL_GROUP_OBJ;
    case ACL_GROUP: return ARCHIVE_ENTRY_ACL_GROUP;
    case ACL_MASK: return ARCHIVE_ENTRY_ACL_MASK;
    default: return ARCHIVE_ENTRY_ACL_OTHER;
    }
}

struct AclEntry {
    unsigned tag;
    unsigned permissions;
    std::uint32_t id;
};

// Of a value that is_acl().
std::vector<AclEntry> acl_entries(std::string_view value)
{
    std::vector<AclEntry> entries;
    posix_acl_xattr_entry entry;
    for (value.remove_prefix(sizeof(posix_acl_xattr_header)); !value.empty();
         value.remove_prefix(sizeof(entry))) {
        std::memcpy(&entry, value.data(), sizeof(entry));
        entries.push_back({le16toh(entry.e_tag), le16toh(entry.e_perm), le32toh(entry.e_id)});
    }
    return entries;
}

// The permissions that a mode has by this ACL.
std::uint32_t mode_by(const std::vector<AclEntry> &entries)
{
    std::uint32_t mode = 0;
    for (const AclEntry &entry : entries) {
        switch (entry.tag) {
        case ACL_USER_OBJ: mode |= entry.permissions << 6; break;
        case ACL_MASK: mode |= entry.permissions << 3; break;
        case ACL_OTHER: mode |= entry.permissions; break;
        default: break;
        }
    }
    return mode;
}

// Give the entry this ACL, which tar --acls and bsdtar -p restore. False where it would not come
// back as it is: libarchive holds ids of less than 31 bits and nothing that the mode says, too, and what
// reads it sorts.
bool add_acl(archive_entry *to, const Xattr &xattr, std::uint32_t mode)
{
    if (!is_acl(xattr.value))
        return false;
    const std::vector<AclEntry> entries = acl_entries(xattr.value);
    const bool is_access = xattr.index == DAXFS_XATTR_ACL_ACCESS;
    if (is_access ? entries.size() <= 3 || mode_by(entries) != (mode & 0777) : entries.empty())
        return false;
    const auto has_id = [](const AclEntry &entry) { return entry.tag == ACL_USER || entry.tag == ACL_GROUP; };
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const AclEntry &entry = entries[i];
        if (has_id(entry) ? entry.id >= INT32_MAX : entry.id != UINT32_MAX)
            return false;
        if (i > 0 && std::tie(entries[i - 1].tag, entries[i - 1].id) >= std::tie(entry.tag, entry.id))
            return false;
    }
    const int type = is_access ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
    for (const AclEntry &entry : entries)
        archive_entry_acl_add_entry(to, type, static_cast<int>(entry.permissions), archive_tag(entry.tag),
                                    has_id(entry) ? static_cast<int>(entry.id) : -1, nullptr);
    return true;
}

class TarWriter {
public:
    TarWriter(const ImageReader &reader, std::ostream &out, std::ostream &err)
        : reader_(reader), err_(err), to_(archive_write_new(), archive_write_free)
    {
        archive_write_set_format_pax(to_.get());
        const Spelling spelling = look_at_names(reader);
        has_binary_names_ = !spelling.names_are_kept;
        if (has_binary_names_)
            check(archive_write_set_format_option(to_.get(), "pax", "hdrcharset", "BINARY"));
        if (spelling.xattr_names_are_kept)
            check(archive_write_set_format_option(to_.get(), "pax", "xattrheader", "SCHILY"));
        archive_write_set_bytes_in_last_block(to_.get(), 1);
        check(archive_write_open(to_.get(), &out, nullptr, put_bytes, nullptr));
    }

    void run(const Selection &selection)
    {
        walk_image(
            reader_, [this](const WalkEntry &entry) { add(entry); },
            [&](const std::string &path, std::uint32_t ino, bool is_dir) {
                return selection.has(path, ino, is_dir);
            });
        check(archive_write_close(to_.get()));
        if (too_large_ > 0)
            throw std::runtime_error(
                fmt::format("mkdaxfs --tar and bsdtar cannot read the archive: {} with too many "
                            "extended attributes",
                            too_large_ == 1 ? "a file" : fmt::format("{} files", too_large_)));
    }

private:
    void check(la_ssize_t result)
    {
        if (result >= ARCHIVE_WARN)
            return;
        const char *why = archive_error_string(to_.get());
        throw std::runtime_error(why ? why : "cannot write the archive");
    }

    void add(const WalkEntry &from)
    {
        const daxfs_attr &attr = from.attr;
        if (S_ISSOCK(attr.mode)) {
            err_ << fmt::format("dump.daxfs: /{}: a socket, left out of the archive\n", printable(from.path));
            return;
        }
        const std::unique_ptr<archive_entry, void (*)(archive_entry *)> entry(archive_entry_new(),
                                                                              archive_entry_free);
        const std::string path = "./" + from.path;
        archive_entry_set_pathname(entry.get(), path.c_str());
        archive_entry_set_mode(entry.get(), static_cast<mode_t>(attr.mode));
        archive_entry_set_uid(entry.get(), attr.uid);
        archive_entry_set_gid(entry.get(), attr.gid);
        set_mtime(entry.get(), attr);
        if (!from.first.empty()) {
            archive_entry_set_hardlink(entry.get(), ("./" + from.first).c_str());
            check(archive_write_header(to_.get(), entry.get()));
            return;
        }
        if (S_ISLNK(attr.mode))
            archive_entry_set_symlink(entry.get(), reader_.target(attr.node).c_str());
        if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode)) {
            archive_entry_set_rdevmajor(entry.get(), attr.rdev_major);
            archive_entry_set_rdevminor(entry.get(), attr.rdev_minor);
        }
        for (const Xattr &xattr : reader_.xattrs(attr.node)) {
            if (!is_acl_index(xattr.index) || !add_acl(entry.get(), xattr, attr.mode))
                archive_entry_xattr_add_entry(entry.get(), join_xattr_name(xattr.index, xattr.name).c_str(),
                                              xattr.value.data(), xattr.value.size());
        }
        if (S_ISREG(attr.mode))
            add_sizes(entry.get(), attr.node);
        header(entry.get(), from.path);
        if (S_ISREG(attr.mode))
            content(attr.node);
    }

    void header(archive_entry *entry, const std::string &path)
    {
        check(archive_write_finish_entry(to_.get()));
        const la_int64_t before = archive_filter_bytes(to_.get(), 0);
        check(archive_write_header(to_.get(), entry));
        // The block of the entry itself, and that of the header with its attributes.
        const la_int64_t size = archive_filter_bytes(to_.get(), 0) - before - 2 * block;
        if (size <= max_header)
            return;
        ++too_large_;
        err_ << fmt::format(
            "dump.daxfs: /{}: its extended attributes take {} bytes of the archive, more than "
            "the {} that libarchive reads\n",
            printable(path), size, max_header);
    }

    // With bytes for names (hdrcharset=BINARY) libarchive writes GNU.sparse.name shortened to a ustar
    // name, and what reads it goes by that.
    bool cuts_name_of_sparse(std::string_view path) const
    {
        constexpr std::size_t longest = 98;
        return has_binary_names_ && (path.size() > longest || !is_ascii(path));
    }

    static bool is_ascii(std::string_view text)
    {
        return std::all_of(text.begin(), text.end(),
                           [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    }

    // Holes go as a sparse map, or as zeros.
    void add_sizes(archive_entry *entry, const daxfs_node &file)
    {
        archive_entry_set_size(entry, static_cast<la_int64_t>(file.size));
        if (file.layout != DAXFS_LAYOUT_EXTENTS || cuts_name_of_sparse(archive_entry_pathname(entry)))
            return;
        for (std::uint64_t pos = 0; pos < file.size;) {
            const daxfs_map run = reader_.map(file, pos);
            if (!run.hole)
                archive_entry_sparse_add_entry(entry, static_cast<la_int64_t>(pos),
                                               static_cast<la_int64_t>(run.len));
            pos += run.len;
        }
        if (archive_entry_sparse_count(entry) == 0) // all of it is a hole
            archive_entry_sparse_add_entry(entry, static_cast<la_int64_t>(file.size), 0);
    }

    // libarchive drops what lies in holes, so they are handed to it as zeros.
    void content(const daxfs_node &file)
    {
        static constexpr char zeros[65536] = {};
        reader_.for_each_piece(file, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
            if (!data.empty())
                put(data.data(), data.size());
            for (std::uint64_t left = len - data.size(); left > 0;) {
                const std::uint64_t piece = std::min<std::uint64_t>(left, sizeof(zeros));
                put(zeros, piece);
                left -= piece;
            }
        });
    }

    void put(const void *bytes, std::uint64_t size) { check(archive_write_data(to_.get(), bytes, size)); }

    const ImageReader &reader_;
    std::ostream &err_;
    std::unique_ptr<archive, int (*)(archive *)> to_;
    bool has_binary_names_ = false;
    std::uint64_t too_large_ = 0;
};

} // namespace

void dump_tar(const ImageReader &reader, std::ostream &out, std::ostream &err, const Selection &selection)
{
    const ThreadLocale locale("C.UTF-8");
    TarWriter(reader, out, err).run(selection);
}

} // namespace daxfs
