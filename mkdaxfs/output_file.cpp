// SPDX-License-Identifier: Apache-2.0
#include "output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <vector>

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

namespace {

// A name that is taken (by a run that was killed) is left alone.
UniqueFd open_new(const std::string& base, std::string& name)
{
    for (int attempt = 0;; ++attempt) {
        name = fmt::format("{}.{}-{}", base, getpid(), attempt);
        UniqueFd fd(open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (fd || errno != EEXIST || attempt == 1000)
            return fd;
    }
}

}  // namespace

OutputFile::OutputFile(const std::string& target, bool force)
{
    std::error_code ignored;
    const auto resolved = std::filesystem::weakly_canonical(target, ignored);
    target_ = ignored ? target : resolved.string();
    struct stat st = {};
    if (stat(target_.c_str(), &st) == 0 && S_ISBLK(st.st_mode)) {
        open_device(force);
        return;
    }
    if (stat(target_.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
        throw std::runtime_error(fmt::format(
            "cannot write the image {}: it is there and is no regular file or block device",
            printable(target)));
    const std::filesystem::path path(target_);
    const auto base = path.parent_path() / ("." + path.filename().string());
    fd_ = open_new(base.string(), temporary_);
    if (!fd_)
        throw system_failure(errno, "cannot write the image " + printable(target));
}

void OutputFile::open_device(bool force)
{
    is_device_ = true;
    fd_.reset(open(target_.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    if (!fd_)
        throw system_failure(errno, "cannot write to the device " + printable(target_));
    std::vector<std::byte> begin(1 << 20);
    const ssize_t got = pread(fd_.get(), begin.data(), begin.size(), 0);
    if (got < 0)
        throw system_failure(errno, "cannot read the device " + printable(target_));
    begin.resize(static_cast<std::size_t>(got));
    const bool is_blank = std::all_of(begin.begin(), begin.end(), [](std::byte b) { return b == std::byte{0}; });
    if (!is_blank && !force)
        throw std::runtime_error(fmt::format(
            "wanted a device that begins with 1 MiB of zeros, {} holds something: --force overwrites it",
            printable(target_)));
    // Whatever it held is no filesystem any more, should this run end early.
    if (!is_blank)
        zero(0, begin.size());
}

OutputFile::~OutputFile()
{
    if (!temporary_.empty())
        unlink(temporary_.c_str());
}

void OutputFile::write(std::uint64_t offset, std::span<const std::byte> bytes)
{
    while (!bytes.empty()) {
        const ssize_t put =
            pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            throw system_failure(errno, "cannot write the image " + printable(target_));
        offset += static_cast<std::uint64_t>(put);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

void OutputFile::zero(std::uint64_t offset, std::uint64_t size)
{
    if (!is_device_)
        return;
    const std::vector<std::byte> zeros(std::min<std::uint64_t>(size, 1 << 20));
    for (std::uint64_t done = 0; done < size; done += zeros.size())
        write(offset + done, std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), size - done)));
}

void OutputFile::read(std::uint64_t offset, std::span<std::byte> to) const
{
    while (!to.empty()) {
        const ssize_t got = pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            throw system_failure(got < 0 ? errno : EIO, "cannot read the image " + printable(target_));
        offset += static_cast<std::uint64_t>(got);
        to = to.subspan(static_cast<std::size_t>(got));
    }
}

void OutputFile::commit(std::uint64_t size, bool sync)
{
    if (is_device_) {
        if (sync && fsync(fd_.get()) != 0)
            throw system_failure(errno, "cannot write to the device " + printable(target_));
        return;
    }
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 || (sync && fsync(fd_.get()) != 0) ||
        rename(temporary_.c_str(), target_.c_str()) != 0)
        throw system_failure(errno, "cannot write the image " + printable(target_));
    temporary_.clear();
    if (!sync)
        return;
    const auto dir = std::filesystem::path(target_).parent_path();
    const UniqueFd parent(open(dir.empty() ? "." : dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent)
        fsync(parent.get());
}

}  // namespace daxfs
