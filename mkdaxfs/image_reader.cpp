// SPDX-License-Identifier: Apache-2.0
#include "image_reader.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <fmt/core.h>

#include "error.hpp"
#include "path_component.hpp"
#include "unique_fd.hpp"

namespace daxfs {

namespace {

std::string describe(int result, const daxfs_err& err)
{
    const std::string_view field = err.field ? err.field : "";
    if (result == -EINVAL)
        return field == "magic" ? "no DAXFS image, its first 8 bytes are not the magic"
                                : fmt::format("no DAXFS image, it has only {} bytes", err.value);
    if (result == -EOPNOTSUPP && field == "version")
        return fmt::format("made for format version {}, this reads version {}: use newer tools",
                           err.value, DAXFS_VERSION);
    if (result == -EOPNOTSUPP)
        return fmt::format("needs features {:#x} unknown here: use newer tools",
                           err.value & ~std::uint64_t{DAXFS_INCOMPAT_ALL});
    if (result == -EUCLEAN && err.ino == 0)
        return fmt::format("superblock: bad {}: {:#x}", field, err.value);
    if (result == -EUCLEAN)
        return fmt::format("inode {}: bad {}: {:#x}", err.ino, field, err.value);
    return fmt::format("cannot read it: error {}", -result);
}

}  // namespace

void ImageReader::check(int result, const daxfs_err& err) const
{
    if (result < 0)
        throw ImageError(describe(result, err));
}

ImageReader::ImageReader(const std::string& path)
{
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat st = {};
    if (!fd || fstat(fd.get(), &st) != 0)
        throw system_failure(errno, "cannot open the image " + printable(path));
    // st_size is 0 for a device; its end can be seeked to.
    if (S_ISDIR(st.st_mode))
        throw std::runtime_error("wanted an image file or device, got the directory " + printable(path));
    const off_t size = lseek(fd.get(), 0, SEEK_END);
    if (size <= 0)
        throw ImageError(printable(path) + ": no DAXFS image, it has no bytes");
    mapped_ = static_cast<std::uint64_t>(size);
    base_ = mmap(nullptr, mapped_, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (base_ == MAP_FAILED)
        throw system_failure(errno, "cannot map the image " + printable(path));
    daxfs_err err = {};
    const int result = daxfs_image_open(&image_, base_, mapped_, &err);
    if (result == 0)
        return;
    munmap(base_, mapped_);
    throw ImageError(printable(path) + ": " + describe(result, err));
}

ImageReader::ImageReader(std::span<const std::uint8_t> memory)
{
    daxfs_err err = {};
    check(daxfs_image_open(&image_, memory.data(), memory.size(), &err), err);
}

ImageReader::~ImageReader()
{
    if (base_)
        munmap(base_, mapped_);
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

daxfs_entry ImageReader::entry(const daxfs_node& dir, std::uint32_t index) const
{
    daxfs_entry entry = {};
    daxfs_err err = {};
    check(daxfs_dir_entry(&image_, &dir, index, &entry, &err), err);
    return entry;
}

std::optional<std::uint32_t> ImageReader::lookup(const daxfs_node& dir, std::string_view name) const
{
    if (name.empty() || name.size() > DAXFS_NAME_MAX)
        return std::nullopt;
    daxfs_slot slot = {.index = DAXFS_NO_GUESS, .ino = 0, .type = 0};
    daxfs_err err = {};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(name.data());
    const int result = daxfs_dir_lookup(&image_, &dir, bytes, name.size(), &slot, &err);
    if (result == -ENOENT)
        return std::nullopt;
    check(result, err);
    return slot.ino;
}

daxfs_map ImageReader::map(const daxfs_node& file, std::uint64_t pos) const
{
    daxfs_map map = {};
    daxfs_err err = {};
    check(daxfs_file_map(&image_, &file, pos, &map, &err), err);
    return map;
}

std::string ImageReader::target(const daxfs_node& symlink) const
{
    char target[DAXFS_SYMLINK_MAX + 1];
    daxfs_err err = {};
    check(daxfs_symlink_target(&image_, &symlink, target, &err), err);
    return {target, symlink.size};
}

std::vector<Xattr> ImageReader::xattrs(const daxfs_node& node) const
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
                          {reinterpret_cast<const char*>(entry.name), entry.name_len},
                          {reinterpret_cast<const char*>(value.data()), value.size()}});
    }
}

std::span<const std::uint8_t> ImageReader::bytes(std::uint64_t off, std::uint64_t len) const
{
    if (len > image_.size || off > image_.size - len)
        throw ImageError(fmt::format("bytes {} to {} lie outside the image", off, off + len));
    return {image_.base + off, len};
}

void ImageReader::for_each_piece(
    const daxfs_node& file,
    const std::function<void(std::span<const std::uint8_t>, std::uint64_t)>& piece) const
{
    for (std::uint64_t pos = 0; pos < file.size;) {
        const daxfs_map run = map(file, pos);
        piece(run.hole ? std::span<const std::uint8_t>() : bytes(run.off, run.len), run.len);
        pos += run.len;
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
    return {reinterpret_cast<const char*>(found.data()), found.size()};
}

std::uint32_t ImageReader::metadata_crc() const
{
    const auto all = bytes(image_.metadata.off, image_.metadata.len);
    return daxfs_crc32c(0, all.data(), all.size());
}

}  // namespace daxfs
