// SPDX-License-Identifier: Apache-2.0
// The image reader of kmod/reader/image.h with files, exceptions and strings around it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "digest.hpp"
#include "image_tools.hpp"
#include "mapped_image.hpp"
#include "uuid.hpp"
#include "xattr_sets.hpp"

namespace daxfs {

// The image breaks the format, or is none, or is too new; says where and what.
struct ImageError : std::runtime_error {
    explicit ImageError(const std::string &text, std::string of = "", std::uint64_t about = 0)
        : std::runtime_error(text), image(std::move(of)), ino(about)
    {
    }
    std::string image; // which one, as it is printed; "" where who throws it does not know
    std::uint64_t ino; // the inode that it is about; 0: none, or the text says where
};

// Made by later tools: nothing says that it is damaged.
struct ImageTooNew : ImageError {
    using ImageError::ImageError;
};

class ImageReader {
public:
    // Maps the file (or device) and opens the image at its start.
    explicit ImageReader(const std::string &path);
    // Opens an image in memory that the caller keeps.
    explicit ImageReader(std::span<const std::uint8_t> memory);

    const daxfs_image &image() const { return image_; }
    // The path as it is printed; "" in memory.
    const std::string &name() const { return mapped_.name(); }
    Uuid uuid() const;

    // To be thrown: about this image.
    ImageError error(const std::string &text, std::uint64_t ino = 0) const
    {
        return ImageError(text, mapped_.name(), ino);
    }

    // All of these throw ImageError.
    daxfs_attr inode(std::uint64_t ino) const;
    daxfs_entry entry(const daxfs_node &dir, std::uint32_t index) const;
    std::optional<std::uint32_t> lookup(const daxfs_node &dir, std::string_view name) const;
    daxfs_map map(const daxfs_node &file, std::uint64_t pos) const;
    std::string target(const daxfs_node &symlink) const;
    std::vector<Xattr> xattrs(const daxfs_node &node) const;
    // Bytes at an image offset.
    std::span<const std::uint8_t> bytes(std::uint64_t off, std::uint64_t len) const;
    // The file's bytes in pieces, in order; a hole's piece has no bytes but a length. What the
    // caller throws is passed on where the piece can be read (touch()).
    void for_each_piece(
        const daxfs_node &file,
        const std::function<void(std::span<const std::uint8_t> data, std::uint64_t len)> &piece) const;
    // Inode of a path from the root; symlinks are not followed.
    std::optional<std::uint32_t> find(std::string_view path) const;
    // none also for a kind that is unknown here, or without a table of the right size.
    DigestKind digest_kind() const;
    // The stored digest of an inode; digest_kind() is not none.
    std::string_view digest(std::uint64_t ino) const;
    // CRC32C of the metadata region as it is now.
    std::uint32_t metadata_crc() const;

private:
    void open(std::span<const std::uint8_t> memory);
    void check(int result, const daxfs_err &err) const;

    MappedImage mapped_;
    daxfs_image image_ = {};
};

} // namespace daxfs
