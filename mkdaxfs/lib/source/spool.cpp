// SPDX-License-Identifier: Apache-2.0
#include "spool.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/types.h>
#include <unistd.h>

#include <fmt/core.h>

#include "blocks.hpp"
#include "error.hpp"
#include "nameless_file.hpp"
#include "sparse.hpp"

namespace daxfs {

namespace {

constexpr std::size_t buffer_bytes = 1 << 20;

class SpooledFile : public FileContent {
public:
    SpooledFile(const Spool &spool, std::uint64_t begin, std::uint64_t size)
        : spool_(spool), begin_(begin), size_(size)
    {
    }

    void read(std::uint64_t offset, std::span<std::byte> to) override { spool_.read(begin_ + offset, to); }

    std::vector<ByteRange> data_ranges() override
    {
        spool_.flush();
        const auto end = static_cast<off_t>(begin_ + size_);
        std::vector<ByteRange> ranges;
        for (auto at = static_cast<off_t>(begin_); at < end;) {
            const off_t data = lseek(spool_.fd(), at, SEEK_DATA);
            if (data < 0 && errno == ENXIO)
                break;
            const off_t hole = data < 0 ? data : lseek(spool_.fd(), data, SEEK_HOLE);
            if (hole < 0)
                return {{0, size_}};
            if (data >= end)
                break;
            ranges.push_back({static_cast<std::uint64_t>(data) - begin_,
                              static_cast<std::uint64_t>(std::min(hole, end)) - begin_});
            at = hole;
        }
        return ranges;
    }

    void check_unchanged() override {}

private:
    const Spool &spool_;
    std::uint64_t begin_;
    std::uint64_t size_;
};

} // namespace

Spool::Spool() : dir_(temporary_directory()), fd_(open_nameless_file()) {}

void Spool::take(std::uint64_t size)
{
    constexpr std::uint64_t most = INT64_MAX;
    if (size > most - 4096 || end_ > most - 4096 - size)
        throw std::runtime_error(fmt::format("a file of {} bytes is more than can be kept", size));
    end_ = may_have_holes(size) ? round_up(end_ + size, DAXFS_BLOCK_SIZE) : end_ + size;
}

void Spool::write(std::uint64_t at, std::span<const std::byte> bytes)
{
    if (!buffer_.empty() &&
        (at != buffer_at_ + buffer_.size() || bytes.size() > buffer_bytes - buffer_.size()))
        flush();
    if (bytes.size() >= buffer_bytes / 2)
        return write_through(at, bytes);
    if (buffer_.empty()) {
        buffer_.reserve(buffer_bytes);
        buffer_at_ = at;
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    is_flushed_ = false;
}

void Spool::flush() const
{
    if (is_flushed_)
        return;
    const std::lock_guard lock(mutex_);
    write_through(buffer_at_, buffer_);
    buffer_.clear();
    is_flushed_ = true;
}

void Spool::write_through(std::uint64_t at, std::span<const std::byte> bytes) const
{
    while (!bytes.empty()) {
        const ssize_t put = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            throw system_failure(errno, fmt::format("cannot write a temporary file in {} (TMPDIR "
                                                    "names another directory)",
                                                    printable(dir_)));
        at += static_cast<std::uint64_t>(put);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

void Spool::read(std::uint64_t at, std::span<std::byte> to) const
{
    flush();
    while (!to.empty()) {
        const ssize_t got = pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw system_failure(errno, "cannot read a temporary file in " + printable(dir_));
        if (got == 0) { // a hole at the very end
            std::fill(to.begin(), to.end(), std::byte{0});
            return;
        }
        at += static_cast<std::uint64_t>(got);
        to = to.subspan(static_cast<std::size_t>(got));
    }
}

std::unique_ptr<FileContent> Spool::open(const Tree &tree, NodeId node) const
{
    return std::make_unique<SpooledFile>(*this, tree.nodes[node].content, tree.nodes[node].size);
}

} // namespace daxfs
