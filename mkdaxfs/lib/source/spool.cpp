// SPDX-License-Identifier: Apache-2.0
#include "spool.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <stdexcept>

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
constexpr std::uint64_t first_adopted = 1ULL << 63; // no file of the spool's own gets there

} // namespace

class Spool::File : public FileContent {
public:
    File(const Spool &spool, std::uint64_t begin, std::uint64_t size)
        : spool_(spool), begin_(begin), size_(size)
    {
    }

    void read(std::uint64_t offset, std::span<std::byte> to) override { spool_.read(begin_ + offset, to); }
    std::vector<ByteRange> data_ranges() override { return spool_.data_ranges(begin_, size_); }
    void check_unchanged() override
    {
        if (const Adopted *adopted = spool_.adopted_at(begin_))
            adopted->part.file->check_unchanged();
    }

private:
    const Spool &spool_;
    std::uint64_t begin_;
    std::uint64_t size_;
};

Spool::Spool() : dir_(temporary_directory()), fd_(open_nameless_file()) {}

void Spool::take(std::uint64_t size)
{
    constexpr std::uint64_t most = INT64_MAX;
    if (size > most - 4096 || end_ > most - 4096 - size)
        throw std::runtime_error(fmt::format("a file of {} bytes is more than can be kept", size));
    if (may_have_holes(size)) {
        std::sort(written_.begin(), written_.end(),
                  [](const ByteRange &a, const ByteRange &b) { return a.begin < b.begin; });
        // A smaller one is read as the zeros it is.
        std::uint64_t done = end_;
        const auto skip_to = [&](std::uint64_t next) {
            if (next >= done + smallest_hole)
                holes_.push_back({done, next});
        };
        for (const ByteRange &range : written_) {
            skip_to(range.begin);
            done = std::max(done, range.end);
        }
        skip_to(end_ + size);
    }
    written_.clear();
    end_ = may_have_holes(size) ? round_up(end_ + size, DAXFS_BLOCK_SIZE) : end_ + size;
}

void Spool::write(std::uint64_t at, std::span<const std::byte> bytes)
{
    if (!written_.empty() && written_.back().end == at)
        written_.back().end += bytes.size();
    else
        written_.push_back({at, at + bytes.size()});
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

std::uint64_t Spool::adopt(const FilePart &part)
{
    const std::uint64_t at =
        adopted_.empty() ? first_adopted : adopted_.back().at + adopted_.back().part.size;
    if (part.size > UINT64_MAX - at)
        throw std::runtime_error(fmt::format("expected archives of at most {} bytes, got more", INT64_MAX));
    adopted_.push_back({at, part});
    return at;
}

FilePart Spool::part_at(std::uint64_t at, std::uint64_t size) const
{
    const Adopted *adopted = adopted_at(at);
    return adopted ? FilePart{adopted->part.file, adopted->part.begin + (at - adopted->at), size}
                   : FilePart();
}

const Spool::Adopted *Spool::adopted_at(std::uint64_t at) const
{
    if (at < first_adopted || adopted_.empty())
        return nullptr;
    const auto behind =
        std::upper_bound(adopted_.begin(), adopted_.end(), at,
                         [](std::uint64_t wanted, const Adopted &one) { return wanted < one.at; });
    return &*std::prev(behind);
}

void Spool::read(std::uint64_t at, std::span<std::byte> to) const
{
    if (const Adopted *adopted = adopted_at(at))
        return adopted->part.file->read(adopted->part.begin + (at - adopted->at), to);
    flush();
    if (!read_whole(fd_.get(), at, to, "a temporary file in " + printable(dir_)))
        std::fill(to.begin(), to.end(), std::byte{0}); // a hole at the very end
}

std::vector<ByteRange> Spool::data_ranges(std::uint64_t begin, std::uint64_t size) const
{
    std::vector<ByteRange> ranges;
    std::uint64_t done = begin;
    const auto add_until = [&](std::uint64_t end) {
        if (end > done)
            ranges.push_back({done - begin, end - begin});
    };
    auto hole = std::lower_bound(holes_.begin(), holes_.end(), begin,
                                 [](const ByteRange &one, std::uint64_t at) { return one.begin < at; });
    for (; hole != holes_.end() && hole->begin < begin + size; ++hole) {
        add_until(hole->begin);
        done = hole->end;
    }
    add_until(begin + size);
    return ranges;
}

std::unique_ptr<FileContent> Spool::open(const Tree &tree, NodeId node) const
{
    return std::make_unique<File>(*this, tree.nodes[node].content, tree.nodes[node].size);
}

} // namespace daxfs
