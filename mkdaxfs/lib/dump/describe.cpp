// SPDX-License-Identifier: Apache-2.0
#include "describe.hpp"

#include <algorithm>
#include <ctime>
#include <ostream>
#include <stdexcept>

#include <sys/stat.h>

#include <fmt/core.h>

#include "acl.hpp"
#include "daxfs_format.h"
#include "error.hpp"
#include "file_type.hpp"
#include "image_walk.hpp"
#include "tree_paths.hpp"

namespace daxfs {

namespace {

bool is_device(const daxfs_attr &attr)
{
    return S_ISCHR(attr.mode) || S_ISBLK(attr.mode);
}

// "-rwsr-xr-x", in the letters of ls(1).
std::string mode_letters(std::uint32_t mode)
{
    std::string letters = "?rwxrwxrwx";
    switch (mode & S_IFMT) {
    case S_IFREG: letters[0] = '-'; break;
    case S_IFDIR: letters[0] = 'd'; break;
    case S_IFLNK: letters[0] = 'l'; break;
    case S_IFCHR: letters[0] = 'c'; break;
    case S_IFBLK: letters[0] = 'b'; break;
    case S_IFIFO: letters[0] = 'p'; break;
    case S_IFSOCK: letters[0] = 's'; break;
    default: break;
    }
    for (unsigned bit = 0; bit < 9; ++bit) {
        if ((mode & (0400U >> bit)) == 0)
            letters[1 + bit] = '-';
    }
    const auto special = [&](std::uint32_t bit, char &place, char with_x, char without) {
        if ((mode & bit) != 0)
            place = place == 'x' ? with_x : without;
    };
    special(S_ISUID, letters[3], 's', 'S');
    special(S_ISGID, letters[6], 's', 'S');
    special(S_ISVTX, letters[9], 't', 'T');
    return letters;
}

// As the time zone has it; the seconds where no calendar goes so far.
std::string local_time(std::int64_t sec)
{
    const auto time = static_cast<time_t>(sec);
    struct tm parts = {};
    char text[64];
    if (localtime_r(&time, &parts) && std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) != 0)
        return text;
    return fmt::format("@{}", sec);
}

std::string line_of(const ImageReader &reader, const std::string &path, const daxfs_attr &attr)
{
    const auto xattrs = reader.xattrs(attr.node);
    const bool has_acl = std::any_of(xattrs.begin(), xattrs.end(),
                                     [](const Xattr &xattr) { return is_acl_index(xattr.index); });
    const std::string size = is_device(attr) ? fmt::format("{}, {}", attr.rdev_major, attr.rdev_minor)
                                             : fmt::format("{}", attr.node.size);
    std::string line =
        fmt::format("{}{} {:>3} {:>5} {:>5} {:>13} {} {}", mode_letters(attr.mode), has_acl ? '+' : ' ',
                    attr.nlink, attr.uid, attr.gid, size, local_time(attr.mtime_sec), printable(path));
    if (S_ISLNK(attr.mode))
        line += " -> " + printable(reader.target(attr.node));
    return line;
}

} // namespace

nlohmann::ordered_json describe(const ImageReader &reader, const std::string &path, std::uint32_t ino)
{
    const daxfs_attr attr = reader.inode(ino);
    nlohmann::ordered_json json = {
        {"path", printable(path)},
        {"inode", ino},
        {"type", file_type_name(attr.mode)},
        {"mode", fmt::format("{:04o}", attr.mode & 07777)},
        {"nlink", attr.nlink},
        {"uid", attr.uid},
        {"gid", attr.gid},
        {"size", attr.node.size},
        {"mtime", fmt::format("{}.{:09}", attr.mtime_sec, attr.mtime_nsec)},
    };
    if (S_ISLNK(attr.mode))
        json["target"] = printable(reader.target(attr.node));
    if (is_device(attr))
        json["device"] = fmt::format("{}:{}", attr.rdev_major, attr.rdev_minor);
    if (S_ISREG(attr.mode) && reader.digest_kind() != DigestKind::none)
        json["digest"] = to_hex(reader.digest(ino));
    for (const Xattr &xattr : reader.xattrs(attr.node))
        json["xattrs"][printable(join_xattr_name(xattr.index, xattr.name))] = printable(xattr.value);
    for (std::uint64_t pos = 0; S_ISREG(attr.mode) && pos < attr.node.size;) {
        const daxfs_map run = reader.map(attr.node, pos);
        if (!run.hole)
            json["runs"].push_back({{"file_offset", pos}, {"offset", run.off}, {"bytes", run.len}});
        pos += run.len;
    }
    return json;
}

void list_tree(const ImageReader &reader, const std::string &path, const ListOptions &options,
               std::ostream &out)
{
    const auto ino = reader.find(path);
    if (!ino)
        throw std::runtime_error(printable(path) + " is not in the image");
    const auto list = [&](const std::string &shown, std::uint32_t of) {
        if (options.json)
            out << describe(reader, shown, of).dump() << '\n';
        else
            out << line_of(reader, shown, reader.inode(of)) << '\n';
        if (!out)
            throw std::runtime_error("cannot write the output");
    };
    const daxfs_attr attr = reader.inode(*ino);
    const std::string from_root = plain_path(path);
    if (!S_ISDIR(attr.mode))
        list(options.recursive ? "/" + from_root : path, *ino);
    else if (options.recursive)
        walk_directory(reader, from_root, *ino,
                       [&](const WalkEntry &entry) { list("/" + entry.path, entry.ino); });
    else
        for (const auto &[name, below] : sorted_entries(reader, attr.node))
            list(name, below);
}

} // namespace daxfs
