// SPDX-License-Identifier: Apache-2.0
#include "disk_file.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/core.h>

#include "directory_scanner.hpp"
#include "error.hpp"

namespace daxfs {

namespace {

class DiskFile : public FileContent {
public:
    DiskFile(UniqueFd fd, std::uint64_t size, std::uint64_t stamp, std::function<std::string()> shown)
        : fd_(std::move(fd)), size_(size), stamp_(stamp), shown_(std::move(shown))
    {
        DiskFile::check_unchanged();
    }

    void read(std::uint64_t offset, std::span<std::byte> to) override
    {
        while (!to.empty()) {
            const ssize_t got = pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                throw system_failure(errno, "cannot read " + shown_());
            if (got == 0)
                throw changed();
            offset += static_cast<std::uint64_t>(got);
            to = to.subspan(static_cast<std::size_t>(got));
        }
    }

    // The kernel starts to bring in what it does not have.
    bool read_now(std::uint64_t offset, std::span<std::byte> to) override
    {
        iovec part = {to.data(), to.size()};
        const ssize_t got = preadv2(fd_.get(), &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
        if (got >= 0 || errno == EAGAIN)
            return got == static_cast<ssize_t>(to.size());
        will_read(offset, to.size()); // not every filesystem can tell
        return false;
    }

    void will_read(std::uint64_t offset, std::uint64_t len) override
    {
        posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(len), POSIX_FADV_WILLNEED);
    }

    std::vector<ByteRange> data_ranges() override
    {
        const auto size = static_cast<off_t>(size_);
        std::vector<ByteRange> ranges;
        for (off_t at = 0; at < size;) {
            const off_t begin = lseek(fd_.get(), at, SEEK_DATA);
            if (begin < 0 && errno == ENXIO)
                break;
            if (begin < 0)
                return {{0, size_}}; // not every filesystem can tell
            const off_t hole = lseek(fd_.get(), begin, SEEK_HOLE);
            const off_t end = hole < 0 ? size : hole; // in the last block below 2^63 it overflows
            ranges.push_back(
                {static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(std::min(end, size))});
            at = end;
        }
        return ranges;
    }

    void check_unchanged() override
    {
        struct stat st = {};
        if (fstat(fd_.get(), &st) != 0)
            throw system_failure(errno, "cannot stat " + shown_());
        if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) != size_ ||
            change_stamp(st) != stamp_)
            throw changed();
    }

    int fd() const override { return fd_.get(); }

    std::runtime_error changed() const
    {
        return std::runtime_error(fmt::format(
            "{} changed while it was read, it had {} bytes: use a source that is at rest", shown_(), size_));
    }

private:
    UniqueFd fd_;
    std::uint64_t size_;
    std::uint64_t stamp_;
    std::function<std::string()> shown_;
};

} // namespace

std::unique_ptr<FileContent> open_disk_file(UniqueFd fd, std::uint64_t size, std::uint64_t stamp,
                                            std::function<std::string()> shown)
{
    return std::make_unique<DiskFile>(std::move(fd), size, stamp, std::move(shown));
}

} // namespace daxfs
