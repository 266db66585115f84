// SPDX-License-Identifier: Apache-2.0
#include "image_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>

#include <fmt/core.h>

#include "acl.hpp"

namespace daxfs {

namespace {

constexpr std::size_t acl_head_bytes = 4; // its version

} // namespace

ImageFiles::ImageFiles(const ImageReader &reader, std::function<void(const std::string &line)> report)
    : image_(reader.image()), report_(std::move(report))
{
}

std::uint32_t ImageFiles::generation() const
{
    std::uint32_t generation;
    std::memcpy(&generation, image_.uuid, sizeof(generation));
    return generation;
}

// The reader's functions own nothing and keep nothing, so a jump may leave them.
int ImageFiles::call(const std::function<int(daxfs_err &err)> &reads) const
{
    daxfs_err err = {};
    const int result = guarded([&] { return reads(err); });
    if (result == -EUCLEAN)
        return corrupt(err.ino, err.field ? err.field : "offset", err.value);
    if (result == -EIO)
        report_("the image cannot be read: the medium has an error, or the file was cut meanwhile");
    return result;
}

// In the module's words.
int ImageFiles::corrupt(std::uint64_t ino, const char *field, std::uint64_t value) const
{
    report_(fmt::format("inode {}: bad {} 0x{:x}, the image is corrupt", ino, field, value));
    return -EUCLEAN;
}

int ImageFiles::attributes(std::uint64_t ino, daxfs_attr &attr) const
{
    const int result = call([&](daxfs_err &err) { return daxfs_read_inode(&image_, ino, &attr, &err); });
    if (result != 0 || !S_ISLNK(attr.mode))
        return result;
    std::string text; // a link whose target cannot be read is none
    return target(ino, text);
}

int ImageFiles::child(std::uint64_t dir, std::string_view name, daxfs_attr &attr)
{
    daxfs_attr parent = {};
    if (name.size() > DAXFS_NAME_MAX)
        return -ENAMETOOLONG;
    if (const int result = attributes(dir, parent); result != 0)
        return result;
    if (!S_ISDIR(parent.mode))
        return -ENOTDIR;
    daxfs_dir_hint slot = {.index = DAXFS_NO_HINT, .ino = 0, .type = 0};
    const int result = call([&](daxfs_err &err) {
        return daxfs_dir_lookup(&image_, &parent.node, reinterpret_cast<const u8 *>(name.data()), name.size(),
                                &slot, &err);
    });
    return result != 0 ? result : child(dir, slot.index, slot.ino, attr);
}

// A directory has one parent, which it knows, and one name there. That keeps hard links to
// directories, and so loops, out of what the kernel is told.
int ImageFiles::child(std::uint64_t dir, std::uint32_t index, std::uint32_t ino, daxfs_attr &attr)
{
    if (const int result = attributes(ino, attr); result != 0 || !S_ISDIR(attr.mode))
        return result;
    if (attr.parent != dir || ino == DAXFS_ROOT_INO)
        return corrupt(ino, "parent", attr.parent);
    if (entry_of_.try_emplace(ino, index).first->second != index)
        return corrupt(ino, "second name in parent", attr.parent);
    return 0;
}

int ImageFiles::entries(std::uint64_t dir, std::uint32_t index, daxfs_dir_batch &batch) const
{
    daxfs_attr attr = {};
    if (const int result = attributes(dir, attr); result != 0)
        return result;
    if (!S_ISDIR(attr.mode))
        return -ENOTDIR;
    if (index >= attr.node.count)
        return 1;
    return call([&](daxfs_err &err) {
        return daxfs_dir_read(&image_, &attr.node, index, DAXFS_BATCH_ENTRIES, &batch, &err);
    });
}

int ImageFiles::target(std::uint64_t link, std::string &text) const
{
    daxfs_attr attr = {};
    char bytes[DAXFS_SYMLINK_MAX + 1];
    const int result = call([&](daxfs_err &err) {
        const int loaded = daxfs_read_inode(&image_, link, &attr, &err);
        if (loaded != 0)
            return loaded;
        return S_ISLNK(attr.mode) ? daxfs_symlink_target(&image_, &attr.node, bytes, &err) : -EINVAL;
    });
    if (result == 0)
        text.assign(bytes, attr.node.size);
    return result;
}

int ImageFiles::regular(std::uint64_t ino, daxfs_attr &attr) const
{
    const int result = attributes(ino, attr);
    return result != 0 || S_ISREG(attr.mode) ? result : -EINVAL;
}

// A short answer would be the end of the file to the kernel, and what is behind it zeros.
int ImageFiles::read(std::uint64_t file, std::uint64_t pos, std::uint64_t size, std::string &bytes) const
{
    daxfs_attr attr = {};
    bytes.clear();
    if (const int result = regular(file, attr); result != 0 || pos >= attr.node.size)
        return result;
    bytes.resize(std::min(size, attr.node.size - pos)); // zeros, as holes are
    for (std::uint64_t at = 0; at < bytes.size();) {
        const int result = call([&](daxfs_err &err) {
            daxfs_map run = {};
            if (const int mapped = daxfs_file_map(&image_, &attr.node, pos + at, &run, &err))
                return mapped;
            const std::uint64_t len = std::min(run.len, bytes.size() - at);
            const int copied = run.hole ? 0 : daxfs_image_copy(&image_, run.off, &bytes[at], len);
            at += len;
            return copied;
        });
        if (result != 0)
            return result;
    }
    return 0;
}

int ImageFiles::seek(std::uint64_t file, std::uint64_t pos, bool hole, std::uint64_t &found) const
{
    daxfs_attr attr = {};
    if (const int result = regular(file, attr); result != 0)
        return result;
    if (pos >= attr.node.size)
        return -ENXIO;
    for (found = pos; found < attr.node.size;) {
        daxfs_map run = {};
        const int result =
            call([&](daxfs_err &err) { return daxfs_file_map(&image_, &attr.node, found, &run, &err); });
        if (result != 0 || run.hole == hole)
            return result;
        found += run.len;
    }
    return hole ? 0 : -ENXIO;
}

int ImageFiles::each_xattr(std::uint64_t ino, const Visit &visit) const
{
    daxfs_attr attr = {};
    if (const int result = attributes(ino, attr); result != 0)
        return result;
    daxfs_xattr_pos pos = {};
    daxfs_xattr_entry entry = {};
    for (;;) {
        int result =
            call([&](daxfs_err &err) { return daxfs_xattr_next(&image_, &attr.node, &pos, &entry, &err); });
        if (result > 0)
            result = visit(entry);
        else
            return result;
        if (result != 0)
            return result;
    }
}

int ImageFiles::xattr(std::uint64_t ino, std::string_view name, std::string &value) const
{
    Xattr wanted;
    if (!split_xattr_name(name, wanted))
        return name == "user." || name == "trusted." || name == "security." ? -EINVAL : -EOPNOTSUPP;
    bool found = false;
    const int result = each_xattr(ino, [&](const daxfs_xattr_entry &entry) {
        const auto *bytes = reinterpret_cast<const char *>(entry.name);
        if (found || entry.index != wanted.index || wanted.name != std::string_view(bytes, entry.name_len))
            return 0;
        found = true;
        value.resize(entry.value_len);
        return call(
            [&](daxfs_err &) { return daxfs_image_copy(&image_, entry.value, value.data(), value.size()); });
    });
    if (result != 0)
        return result;
    if (!found)
        return -ENODATA;
    if (!is_acl_index(wanted.index))
        return 0;
    if (!is_acl(value))
        return corrupt(ino, "xattr.acl", value.size());
    return value.size() > acl_head_bytes ? 0 : -ENODATA; // without an entry it is none
}

int ImageFiles::xattr_names(std::uint64_t ino, bool with_trusted, std::string &names) const
{
    names.clear();
    return each_xattr(ino, [&](const daxfs_xattr_entry &entry) {
        if (entry.index == DAXFS_XATTR_TRUSTED && !with_trusted)
            return 0;
        const auto *bytes = reinterpret_cast<const char *>(entry.name);
        names += join_xattr_name(entry.index, {bytes, entry.name_len});
        names += '\0';
        return 0;
    });
}

} // namespace daxfs
