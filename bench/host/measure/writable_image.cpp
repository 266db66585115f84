// SPDX-License-Identifier: Apache-2.0
#include "writable_image.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_set>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>
#include <xxhash.h>

#include "cache.hpp"
#include "canary.hpp"
#include "io.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t page_size = 4096;
constexpr std::size_t buffer_size = std::size_t{1} << 20;
constexpr std::uint64_t canary_size = std::uint64_t{16} << 20;

/// Calls `visit(offset, page)` for each page of a file, the last one filled with zeros.
template <typename Visit> void each_page(const fs::path &path, Visit visit)
{
    const Fd fd = open_or_throw(path, O_RDONLY);
    std::vector<char> buffer(buffer_size);
    std::uint64_t offset = 0;
    for (;;) {
        const ssize_t got = ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (got < 0)
            throw_errno("cannot read " + path.string());
        if (got == 0)
            return;
        const auto size = static_cast<std::size_t>(got);
        std::fill(buffer.begin() + got, buffer.end(), '\0');
        for (std::size_t at = 0; at < size; at += page_size)
            visit(offset + at, std::string_view(buffer.data() + at, page_size));
        offset += size;
    }
}

/// Holes stay holes.
void copy_range(const Fd &from, const Fd &to, std::uint64_t size)
{
    off_t at = 0;
    while (static_cast<std::uint64_t>(at) < size) {
        const off_t data = ::lseek(from.get(), at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return;
        off_t end = data < 0 ? -1 : ::lseek(from.get(), data, SEEK_HOLE);
        if (data < 0 || end < 0)
            throw_errno("cannot look for data in an image");
        end = std::min(end, static_cast<off_t>(size));
        for (off_t in = data, out = data; in < end;)
            if (::copy_file_range(from.get(), &in, to.get(), &out, static_cast<std::size_t>(end - in), 0) <=
                0)
                throw_errno("cannot copy an image");
        at = end;
    }
}

} // namespace

std::vector<std::uint64_t> metadata_pages(const fs::path &image, const fs::path &tree)
{
    std::unordered_set<std::uint64_t> known;
    const auto hash = [](std::string_view page) { return XXH3_64bits(page.data(), page.size()); };
    known.insert(hash(std::string(page_size, '\0')));
    for (const auto &entry : fs::recursive_directory_iterator(tree))
        if (entry.is_regular_file() && !entry.is_symlink())
            each_page(entry.path(), [&](std::uint64_t, std::string_view page) { known.insert(hash(page)); });
    std::vector<std::uint64_t> pages;
    each_page(image, [&](std::uint64_t offset, std::string_view page) {
        if (!known.contains(hash(page)))
            pages.push_back(offset);
    });
    if (pages.empty())
        throw std::runtime_error(
            fmt::format("expected pages in {} that are no file's, there are none", image.string()));
    return pages;
}

ImageCopy::ImageCopy(const fs::path &image, const fs::path &other, std::vector<std::uint64_t> metadata)
    : dir_(Cache::scratch()), path_(dir_.path() / "image"), other_path_(other),
      original_(open_or_throw(image, O_RDONLY)), copy_(open_or_throw(path_, O_RDWR | O_CREAT | O_EXCL, 0600)),
      bytes_(fs::file_size(image)), metadata_(std::move(metadata))
{
    if (::ftruncate(copy_.get(), static_cast<off_t>(bytes_ + canary_size)) < 0)
        throw_errno("cannot make a copy of an image");
    copy_range(original_, copy_, bytes_);
    const auto page = canary_page(region_canary);
    for (auto at = bytes_; at < bytes_ + canary_size; at += page.size())
        write(at, page);
}

std::string ImageCopy::pristine(std::uint64_t offset, std::size_t size) const
{
    std::string bytes(size, '\0');
    if (::pread(original_.get(), bytes.data(), size, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(size))
        throw_errno("cannot read an image");
    return bytes;
}

void ImageCopy::write(std::uint64_t offset, std::string_view bytes)
{
    if (::pwrite(copy_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(bytes.size()))
        throw_errno("cannot write into the copy of an image");
}

void ImageCopy::write_other()
{
    const Fd other = open_or_throw(other_path_, O_RDONLY);
    copy_range(other, copy_, std::min<std::uint64_t>(bytes_, fs::file_size(other_path_)));
}

void ImageCopy::restore()
{
    // What was a hole may have been written to.
    std::vector<char> buffer(buffer_size);
    for (std::uint64_t at = 0; at < bytes_; at += buffer.size()) {
        const auto size = std::min<std::uint64_t>(buffer.size(), bytes_ - at);
        const auto now = [&] {
            std::vector<char> bytes(size);
            (void)!::pread(copy_.get(), bytes.data(), size, static_cast<off_t>(at));
            return bytes;
        }();
        if (::pread(original_.get(), buffer.data(), size, static_cast<off_t>(at)) !=
            static_cast<ssize_t>(size))
            throw_errno("cannot read an image");
        if (!std::equal(now.begin(), now.end(), buffer.begin()))
            write(at, {buffer.data(), size});
    }
}

} // namespace daxbench
