// SPDX-License-Identifier: Apache-2.0
#include "dump_text.hpp"

#include <ostream>

#include <sys/stat.h>

#include <fmt/core.h>

#include "file_type.hpp"
#include "image_walk.hpp"
#include "text_form.hpp"
#include "uuid.hpp"

namespace daxfs {

namespace {

constexpr std::size_t bytes_a_line = 3 * 1024;

std::string path_word(const std::string &path)
{
    return "/" + percent_encode(path);
}

void print_content(const ImageReader &reader, const daxfs_node &file, std::ostream &out)
{
    reader.for_each_piece(file, [&](std::span<const std::uint8_t> data, std::uint64_t len) {
        if (data.empty())
            out << "0 " << len << '\n';
        for (std::size_t at = 0; at < data.size(); at += bytes_a_line) {
            const auto piece = data.subspan(at, std::min(bytes_a_line, data.size() - at));
            out << "+ " << base64_encode({reinterpret_cast<const char *>(piece.data()), piece.size()})
                << '\n';
        }
    });
}

void print_inode(const ImageReader &reader, const WalkEntry &entry, std::ostream &out)
{
    const daxfs_attr &attr = entry.attr;
    out << fmt::format("{} {} mode={:04o} uid={} gid={} mtime={}.{:09}", file_type_name(attr.mode),
                       path_word(entry.path), attr.mode & 07777, attr.uid, attr.gid, attr.mtime_sec,
                       attr.mtime_nsec);
    if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode))
        out << fmt::format(" dev={}:{}", attr.rdev_major, attr.rdev_minor);
    if (S_ISLNK(attr.mode))
        out << " target=" << percent_encode(reader.target(attr.node));
    for (const Xattr &xattr : reader.xattrs(attr.node)) {
        std::string name = percent_encode(join_xattr_name(xattr.index, xattr.name));
        for (std::size_t at = 0; (at = name.find('=', at)) != name.npos;)
            name.replace(at, 1, "%3D");
        out << " xattr." << name << '=' << percent_encode(xattr.value);
    }
    if (S_ISREG(attr.mode))
        out << " size=" << attr.node.size;
    out << '\n';
    if (S_ISREG(attr.mode))
        print_content(reader, attr.node, out);
}

} // namespace

void dump_text(const ImageReader &reader, std::ostream &out)
{
    const daxfs_image &image = reader.image();
    out << text_with_end << '\n';
    if (image.label[0] != '\0')
        out << "label " << percent_encode(image.label) << '\n';
    out << "uuid " << show_uuid(reader.uuid()) << '\n';
    out << "build-time " << image.build_sec << '\n';
    if (const DigestKind kind = reader.digest_kind(); kind != DigestKind::none)
        out << "digest " << digest_name(kind) << '\n';
    walk_image(reader, [&](const WalkEntry &entry) {
        if (!entry.first.empty())
            out << "link " << path_word(entry.path) << ' ' << path_word(entry.first) << '\n';
        else
            print_inode(reader, entry, out);
    });
    out << text_last_line << '\n';
}

} // namespace daxfs
