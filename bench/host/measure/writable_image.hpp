// SPDX-License-Identifier: Apache-2.0
// An image that changes while guests have it mapped: a copy, of the cell's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "files.hpp"

namespace daxbench {

class WritableImage {
public:
    virtual ~WritableImage() = default; ///< the copy goes with it
    virtual std::uint64_t bytes() const = 0;
    /// Offsets of its pages that are not empty and no page of a file of its dataset.
    virtual const std::vector<std::uint64_t> &metadata() const = 0;
    virtual std::string pristine(std::uint64_t offset, std::size_t size) const = 0;
    virtual void write(std::uint64_t offset, std::string_view bytes) = 0;
    /// The other image over its beginning.
    virtual void write_other() = 0;
    /// All of it as it was.
    virtual void restore() = 0;
};

/// Pages of `image` that are not zero and that no file below `tree` has, the last page of a file filled with
/// zeros.
std::vector<std::uint64_t> metadata_pages(const std::filesystem::path &image,
                                          const std::filesystem::path &tree);

/// On disk. The canary's pages lie behind the image, in the same file, so within what a guest can reach.
class ImageCopy : public WritableImage {
public:
    ImageCopy(const std::filesystem::path &image, const std::filesystem::path &other,
              std::vector<std::uint64_t> metadata);

    std::uint64_t bytes() const override { return bytes_; }
    const std::vector<std::uint64_t> &metadata() const override { return metadata_; }
    std::string pristine(std::uint64_t offset, std::size_t size) const override;
    void write(std::uint64_t offset, std::string_view bytes) override;
    void write_other() override;
    void restore() override;

    const std::filesystem::path &path() const { return path_; }
    const std::filesystem::path &other() const { return other_path_; }

private:
    TempDir dir_;
    std::filesystem::path path_;
    std::filesystem::path other_path_;
    Fd original_;
    Fd copy_;
    std::uint64_t bytes_ = 0;
    std::vector<std::uint64_t> metadata_;
};

} // namespace daxbench
