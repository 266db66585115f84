// SPDX-License-Identifier: Apache-2.0
#include "image_reader.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/stat.h>

#include <fmt/core.h>

#include "path_component.hpp"

namespace daxfs {

namespace {

// What is read again when its output fails; whole pages, and whole lines of dump_text.
constexpr std::uint64_t piece_bytes = 12 << 20;

std::string describe(int result, const daxfs_err &err)
{
    const std::string_view field = err.field ? err.field : "";
    if (result == -EINVAL && field == "magic")
        return "no DAXFS image, its first 8 bytes are not the magic";
    if (result == -EINVAL)
        return err.value == 0 ? "no DAXFS image, it has no bytes"
                              : fmt::format("no DAXFS image, it has only {} bytes", err.value);
    if (result == -EUCLEAN && err.ino == 0)
        return fmt::format("superblock: bad {}: {:#x}", field, err.value);
    if (result == -EUCLEAN && field == "symlink")
        return fmt::format("inode {}: bad symlink: its target, at {:#x}, has a NUL byte", err.ino, err.value);
    if (result == -EUCLEAN)
        return fmt::format("inode {}: bad {}: {:#x}", err.ino, field, err.value);
    return fmt::format("cannot read it: error {}", -result);
}

// In the module's words.
std::string too_new(const daxfs_err &err)
{
    return fmt::format("needs format {} {:#x}, unknown here: a later DAXFS is needed", err.field, err.value);
}

} // namespace

ImageReader::ImageReader(const std::string &path) : mapped_(path)
{
    open(mapped_.bytes());
}

ImageReader::ImageReader(std::span<const std::uint8_t> memory)
{
    open(memory);
}

void ImageReader::open(std::span<const std::uint8_t> memory)
{
    daxfs_err err = {};
    const int result = daxfs_image_open(&image_, memory.data(), memory.size(), &err);
    if (result == -EOPNOTSUPP)
        throw ImageTooNew(too_new(err), mapped_.name());
    if (result == -EUCLEAN && std::string_view(err.field) == "image_size" && err.value > memory.size())
        throw error(fmt::format("expected {} bytes as its superblock says, there are {}: it was cut",
                                err.value, memory.size()));
    check(result, err);
}

void ImageReader::check(int result, const daxfs_err &err) const
{
    if (result < 0)
        throw error(describe(result, err), err.ino);
}

Uuid ImageReader::uuid() const
{
    Uuid uuid;
    std::copy(std::begin(image_.uuid), std::end(image_.uuid), uuid.begin());
    return uuid;
}

daxfs_attr ImageReader::inode(std::uint64_t ino) const
{
    daxfs_attr attr = {};
    daxfs_err err = {};
    check(daxfs_read_inode(&image_, ino, &attr, &err), err);
    return attr;
}

daxfs_entry ImageReader::entry(const daxfs_node &dir, std::uint32_t index) const
{
    daxfs_entry entry = {};
    daxfs_err err = {};
    check(daxfs_dir_entry(&image_, &dir, index, &entry, &err), err);
    return entry;
}

std::optional<std::uint32_t> ImageReader::lookup(const daxfs_node &dir, std::string_view name) const
{
    if (name.empty() || name.size() > DAXFS_NAME_MAX)
        return std::nullopt;
    daxfs_dir_hint slot = {.index = DAXFS_NO_HINT, .ino = 0, .type = 0};
    daxfs_err err = {};
    const auto *bytes = reinterpret_cast<const std::uint8_t *>(name.data());
    const int result = daxfs_dir_lookup(&image_, &dir, bytes, name.size(), &slot, &err);
    if (result == -ENOENT)
        return std::nullopt;
    check(result, err);
    return slot.ino;
}

daxfs_map ImageReader::map(const daxfs_node &file, std::uint64_t pos) const
{
    daxfs_map map = {};
    daxfs_err err = {};
    check(daxfs_file_map(&image_, &file, pos, &map, &err), err);
    return map;
}

std::string ImageReader::target(const daxfs_node &symlink) const
{
    char target[DAXFS_SYMLINK_MAX + 1];
    daxfs_err err = {};
    check(daxfs_symlink_target(&image_, &symlink, target, &err), err);
    return {target, symlink.size};
}

std::vector<Xattr> ImageReader::xattrs(const daxfs_node &node) const
{
    std::vector<Xattr> xattrs;
    daxfs_xattr_pos pos = {};
    daxfs_xattr_entry entry = {};
    daxfs_err err = {};
    for (;;) {
        const int result = daxfs_xattr_next(&image_, &node, &pos, &entry, &err);
        check(result, err);
        if (result == 0)
            return xattrs;
        const auto value = bytes(entry.value, entry.value_len);
        xattrs.push_back({entry.index,
                          {reinterpret_cast<const char *>(entry.name), entry.name_len},
                          {reinterpret_cast<const char *>(value.data()), value.size()}});
    }
}

std::span<const std::uint8_t> ImageReader::bytes(std::uint64_t off, std::uint64_t len) const
{
    if (len > image_.size || off > image_.size - len)
        throw error(fmt::format("bytes {} to {} lie outside the image", off, off + len));
    return {image_.base + off, len};
}

void ImageReader::for_each_piece(
    const daxfs_node &file,
    const std::function<void(std::span<const std::uint8_t>, std::uint64_t)> &piece) const
{
    for (std::uint64_t pos = 0; pos < file.size;) {
        const daxfs_map run = map(file, pos);
        const std::uint64_t len = run.hole ? run.len : std::min(run.len, piece_bytes);
        const auto data = run.hole ? std::span<const std::uint8_t>() : bytes(run.off, len);
        try {
            piece(data, len);
        } catch (const std::exception &) {
            touch(data);
            throw;
        }
        pos += len;
    }
}

std::optional<std::uint32_t> ImageReader::find(std::string_view path) const
{
    std::uint32_t ino = DAXFS_ROOT_INO;
    for (auto name = next_component(path); !name.empty(); name = next_component(path)) {
        const daxfs_attr dir = inode(ino);
        const auto next = S_ISDIR(dir.mode) ? lookup(dir.node, name) : std::nullopt;
        if (!next)
            return std::nullopt;
        ino = *next;
    }
    return ino;
}

DigestKind ImageReader::digest_kind() const
{
    if (!(image_.compat & DAXFS_COMPAT_DIGESTS) || image_.digest_kind > 2)
        return DigestKind::none;
    const auto kind = static_cast<DigestKind>(image_.digest_kind);
    return image_.digests.len == image_.inode_count * digest_size(kind) ? kind : DigestKind::none;
}

std::string_view ImageReader::digest(std::uint64_t ino) const
{
    const std::size_t size = digest_size(digest_kind());
    const auto found = bytes(image_.digests.off + (ino - 1) * size, size);
    return {reinterpret_cast<const char *>(found.data()), found.size()};
}

std::uint32_t ImageReader::metadata_crc() const
{
    const auto all = bytes(image_.metadata.off, image_.metadata.len);
    return daxfs_crc32c(0, all.data(), all.size());
}

} // namespace daxfs
