// SPDX-License-Identifier: Apache-2.0
#include "shared_file.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "error.hpp"
#include "workers.hpp"

namespace daxfs {

bool read_whole(int fd, std::uint64_t at, std::span<std::byte> &to, const std::string &name)
{
    while (!to.empty()) {
        const ssize_t got = pread(fd, to.data(), to.size(), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw system_failure(errno, "cannot read " + name);
        if (got == 0)
            return false;
        at += static_cast<std::uint64_t>(got);
        to = to.subspan(static_cast<std::size_t>(got));
    }
    return true;
}

SharedFile::SharedFile(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name))
{
    struct stat st = {};
    if (fstat(fd_.get(), &st) != 0)
        throw system_failure(errno, "cannot read " + printable(name_));
    size_ = static_cast<std::uint64_t>(st.st_size);
    is_regular_ = S_ISREG(st.st_mode);
    changed_ = st.st_mtim;
}

void SharedFile::read(std::uint64_t at, std::span<std::byte> to) const
{
    if (!read_whole(fd_.get(), at, to, printable(name_)))
        throw std::runtime_error(printable(name_) + " became shorter while it was read");
}

void SharedFile::check_unchanged() const
{
    struct stat st = {};
    const bool is_same = fstat(fd_.get(), &st) == 0 && static_cast<std::uint64_t>(st.st_size) == size_ &&
                         st.st_mtim.tv_sec == changed_.tv_sec && st.st_mtim.tv_nsec == changed_.tv_nsec;
    if (!is_same)
        throw std::runtime_error(printable(name_) + " changed while it was read");
}

ReadBytes bytes_of_part(const FilePart &part, const std::atomic<bool> *stop)
{
    return [part, stop, done = std::uint64_t{0}](std::span<std::byte> to) mutable {
        check_stop(stop);
        to = to.first(std::min<std::uint64_t>(to.size(), part.size - done));
        part.file->read(part.begin + done, to);
        done += to.size();
        return to.size();
    };
}

} // namespace daxfs
