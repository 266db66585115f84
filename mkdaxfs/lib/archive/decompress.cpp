// SPDX-License-Identifier: Apache-2.0
#include "decompress.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include <archive.h>
#include <fmt/core.h>
#include <zlib.h>

#include "error.hpp"
#include "workers.hpp"

namespace daxfs {

namespace {

constexpr std::size_t buffer_bytes = 1 << 20;

// Up to and with the last byte that is not zero.
std::size_t size_without_zeros(std::span<const std::byte> bytes)
{
    const auto last =
        std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte byte) { return byte != std::byte{0}; });
    return static_cast<std::size_t>(bytes.rend() - last);
}

std::runtime_error unreadable(const std::string &name, const char *why)
{
    return std::runtime_error(
        fmt::format("cannot read the archive {}: {}", printable(name), printable(why ? why : "damaged")));
}

// By zlib, since libarchive does not compare a gzip's checksum.
class Gunzip {
public:
    Gunzip(ReadBytes read, std::string name)
        : read_(std::move(read)), name_(std::move(name)), buffer_(buffer_bytes)
    {
        constexpr int gzip_window = 15 + 16;
        if (inflateInit2(&stream_, gzip_window) != Z_OK)
            throw std::bad_alloc();
    }
    Gunzip(const Gunzip &) = delete;
    Gunzip &operator=(const Gunzip &) = delete;
    ~Gunzip() { inflateEnd(&stream_); }

    std::size_t read(std::span<std::byte> to)
    {
        stream_.next_out = reinterpret_cast<Bytef *>(to.data());
        stream_.avail_out = static_cast<uInt>(to.size());
        while (stream_.avail_out == to.size()) {
            if (stream_.avail_in == 0 && !refill()) {
                if (!between_members_)
                    throw unreadable(name_, "the compressed data was cut");
                return 0;
            }
            if (between_members_ && *stream_.next_in == 0) { // padding, as of a tape
                ++stream_.next_in;
                --stream_.avail_in;
                continue;
            }
            between_members_ = false;
            const int result = inflate(&stream_, Z_NO_FLUSH);
            if (result != Z_OK && result != Z_STREAM_END)
                throw unreadable(name_, stream_.msg);
            if (result == Z_STREAM_END) {
                between_members_ = true;
                inflateReset(&stream_);
            }
        }
        return to.size() - stream_.avail_out;
    }

private:
    bool refill()
    {
        stream_.next_in = reinterpret_cast<Bytef *>(buffer_.data());
        stream_.avail_in = static_cast<uInt>(read_(buffer_));
        return stream_.avail_in != 0;
    }

    ReadBytes read_;
    std::string name_;
    std::vector<std::byte> buffer_;
    z_stream stream_ = {};
    bool between_members_ = false;
};

// Everything else by libarchive's filters, none of which starts a program.
class Filters {
public:
    Filters(ReadBytes read, std::string name)
        : name_(std::move(name)), stream_(std::move(read)), in_(archive_read_new(), archive_read_free)
    {
        archive_read_support_format_raw(in_.get());
        archive_read_support_filter_none(in_.get());
        for (const auto filter : {archive_read_support_filter_gzip, archive_read_support_filter_bzip2,
                                  archive_read_support_filter_xz, archive_read_support_filter_lzma,
                                  archive_read_support_filter_lzip, archive_read_support_filter_lz4,
                                  archive_read_support_filter_zstd, archive_read_support_filter_compress})
            filter(in_.get());
        archive_entry *entry = nullptr;
        check(stream_.open(in_.get()));
        check(archive_read_next_header(in_.get(), &entry));
    }

    bool is_plain() const { return archive_filter_code(in_.get(), 0) == ARCHIVE_FILTER_NONE; }

    std::size_t read(std::span<std::byte> to)
    {
        const la_ssize_t got = archive_read_data(in_.get(), to.data(), to.size());
        if (got < 0)
            check(static_cast<int>(got));
        // Where its data ends, a filter looks no further.
        if (got == 0 && !to.empty() &&
            !stream_.is_zero_from(static_cast<std::uint64_t>(archive_filter_bytes(in_.get(), -1))))
            throw unreadable(name_, "something follows the compressed data");
        return got < 0 ? 0 : static_cast<std::size_t>(got);
    }

private:
    void check(int result)
    {
        stream_.rethrow();
        if (result >= ARCHIVE_WARN)
            return;
        const char *why = archive_error_string(in_.get());
        const bool is_cut = why && std::strstr(why, "No progress is possible"); // liblzma's LZMA_BUF_ERROR
        throw unreadable(name_, is_cut ? "the compressed data was cut" : why);
    }

    std::string name_;
    ArchiveStream stream_;
    std::unique_ptr<archive, int (*)(archive *)> in_;
};

} // namespace

namespace {

// The same bytes, and how they begin.
struct Begun {
    std::shared_ptr<std::vector<std::byte>> begin = std::make_shared<std::vector<std::byte>>(buffer_bytes);
    ReadBytes whole;

    explicit Begun(ReadBytes read)
    {
        // Enough to tell, of a pipe that gives a byte at a time, too.
        std::size_t size = read(*begin);
        if (size == 1)
            size += read(std::span(*begin).subspan(1));
        begin->resize(size);
        whole = [front = begin, at = std::size_t{0},
                 read = std::move(read)](std::span<std::byte> to) mutable {
            if (at == front->size())
                return read(to);
            const std::size_t given = std::min(to.size(), front->size() - at);
            std::memcpy(to.data(), front->data() + at, given);
            at += given;
            return given;
        };
    }
    bool is_gzip() const
    {
        return begin->size() >= 2 && (*begin)[0] == std::byte{0x1f} && (*begin)[1] == std::byte{0x8b};
    }
};

} // namespace

ReadBytes decompressed(ReadBytes read, std::string name)
{
    Begun begun(std::move(read));
    if (begun.begin->empty())
        return [](std::span<std::byte>) { return std::size_t{0}; };
    if (begun.is_gzip())
        return [gzip = std::make_shared<Gunzip>(std::move(begun.whole), std::move(name))](
                   std::span<std::byte> to) { return gzip->read(to); };
    return [filters = std::make_shared<Filters>(std::move(begun.whole), std::move(name))](
               std::span<std::byte> to) { return filters->read(to); };
}

bool is_compressed(ReadBytes read, const std::string &name)
{
    Begun begun(std::move(read));
    return !begun.begin->empty() && (begun.is_gzip() || !Filters(std::move(begun.whole), name).is_plain());
}

ArchiveStream::ArchiveStream(ReadBytes read) : read_(std::move(read)), buffer_(buffer_bytes) {}

ArchiveStream::ArchiveStream(FilePart part, const std::atomic<bool> *stop)
    : part_(std::move(part)), buffer_(buffer_bytes)
{
    read_ = [this, stop](std::span<std::byte> to) {
        check_stop(stop);
        return read_part(to);
    };
}

std::size_t ArchiveStream::read_part(std::span<std::byte> to)
{
    to = to.first(std::min<std::uint64_t>(to.size(), part_.size - given_));
    part_.file->read(part_.begin + given_, to);
    return to.size();
}

std::int64_t ArchiveStream::skip(archive *, void *self, std::int64_t bytes)
{
    auto *stream = static_cast<ArchiveStream *>(self);
    const std::uint64_t left = stream->part_.size - stream->given_;
    const std::uint64_t skipped = std::min(static_cast<std::uint64_t>(bytes), left);
    stream->given_ += skipped;
    stream->last_ = stream->given_; // the buffer is over
    stream->kept_.clear();
    return static_cast<std::int64_t>(skipped);
}

int ArchiveStream::open(archive *in)
{
    in_ = in;
    return archive_read_open2(in, this, nullptr, give, part_.file ? skip : nullptr, nullptr);
}

void ArchiveStream::rethrow() const
{
    if (failure_)
        std::rethrow_exception(failure_);
}

// An exception cannot pass through C code.
ssize_t ArchiveStream::give(archive *in, void *self, const void **bytes)
{
    auto *stream = static_cast<ArchiveStream *>(self);
    try {
        *bytes = stream->buffer_.data();
        return static_cast<ssize_t>(stream->next());
    } catch (...) {
        stream->failure_ = std::current_exception();
        archive_set_error(in, EIO, "cannot be read");
        return ARCHIVE_FATAL;
    }
}

std::size_t ArchiveStream::next()
{
    const la_int64_t used = in_ ? archive_filter_bytes(in_, -1) : -1; // below 0 before there is a filter
    const std::uint64_t from =
        std::min(given_, keep_from_.value_or(static_cast<std::uint64_t>(std::max<la_int64_t>(used, 0))));
    const std::uint64_t kept_at = last_ - kept_.size();
    kept_.erase(0, from > kept_at ? std::min<std::uint64_t>(from - kept_at, kept_.size()) : 0);
    const std::uint64_t skip = std::max(from, last_) - last_;
    kept_.append(reinterpret_cast<const char *>(buffer_.data()) + skip, given_ - last_ - skip);
    last_ = given_;
    const std::size_t size = read_(buffer_);
    if (const std::size_t used = size_without_zeros(std::span(buffer_).first(size)))
        end_of_data_ = given_ + used;
    given_ += size;
    return size;
}

std::string_view ArchiveStream::since_kept(std::uint64_t end)
{
    const std::uint64_t from = std::exchange(keep_from_, std::nullopt).value_or(given_);
    const std::string_view buffer(reinterpret_cast<const char *>(buffer_.data()), given_ - last_);
    end = std::min(end, given_);
    if (from >= end)
        return {};
    if (from >= last_) // nearly always
        return buffer.substr(from - last_, end - from);
    const std::uint64_t kept_at = last_ - kept_.size();
    told_ = from < kept_at ? "" : kept_.substr(from - kept_at, end - from);
    if (end > last_)
        told_.append(buffer.substr(0, end - last_));
    return told_;
}

bool ArchiveStream::is_zero_from(std::uint64_t from)
{
    rethrow();
    while (next() != 0)
        continue;
    return end_of_data_ <= from;
}

} // namespace daxfs
