// SPDX-License-Identifier: Apache-2.0
#include "output_file.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fmt/core.h>

#include "error.hpp"

namespace daxfs {

namespace {

// A name that is taken (by a run that was killed) is left alone.
UniqueFd open_new(const std::string &base, std::string &name)
{
    for (int attempt = 0;; ++attempt) {
        name = fmt::format("{}.{}-{}", base, getpid(), attempt);
        UniqueFd fd(open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (fd || errno != EEXIST || attempt == 1000)
            return fd;
    }
}

} // namespace

std::string resolved(const std::filesystem::path &target)
{
    namespace fs = std::filesystem;
    std::error_code failed;
    fs::path path = target;
    for (int links = 0; links < 40 && fs::is_symlink(path, failed); ++links)
        path = path.parent_path() / fs::read_symlink(path, failed);
    path = fs::weakly_canonical(fs::absolute(path, failed), failed);
    return failed ? target.string() : path.string();
}

OutputFile::OutputFile(const std::string &target, Publish when) : when_(when)
{
    target_ = resolved(target);
    struct stat st = {};
    // resolved() finds no /dev/stdout, and stat(2) nothing behind a directory that is not there.
    const bool exists = stat(target.c_str(), &st) == 0 || stat(target_.c_str(), &st) == 0;
    if (exists && !S_ISREG(st.st_mode))
        throw std::runtime_error(
            fmt::format("cannot write the image {}: it is there and is no regular file, block device or "
                        "device-dax device",
                        printable(target)));
    const std::filesystem::path path(target_);
    constexpr std::size_t longest = 200; // with what open_new() adds, a name is at most 255
    const auto base = path.parent_path() / ("." + path.filename().string().substr(0, longest));
    fd_ = open_new(base.string(), temporary_);
    if (!fd_)
        throw system_failure(errno, "cannot write the image " + printable(target));
    struct statfs fs = {};
    allocates_ = fstatfs(fd_.get(), &fs) == 0 && fs.f_type == EXT4_SUPER_MAGIC;
    // A private image stays private.
    if (exists && fchmod(fd_.get(), st.st_mode & 0777) != 0)
        throw system_failure(errno, "cannot set the mode of the image " + printable(target));
}

OutputFile::~OutputFile()
{
    if (!temporary_.empty())
        unlink(temporary_.c_str());
}

// ext4 reserves and maps block by block what has none yet, holding the file's lock: 57 ms instead of
// 34 for 350 MB. Others are left alone: btrfs would not compress what is preallocated. Where it fails,
// the write says why.
void OutputFile::will_write(std::uint64_t offset, std::uint64_t size)
{
    if (allocates_)
        fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size));
}

// copy_file_range(2) would copy in the kernel where the filesystem cannot clone, which takes longer
// than writing bytes that have been read anyway.
bool OutputFile::clone(int from, std::uint64_t from_offset, std::uint64_t size, std::uint64_t offset)
{
    file_clone_range range = {};
    range.src_fd = from;
    range.src_offset = from_offset;
    range.src_length = size;
    range.dest_offset = offset;
    return from >= 0 && ioctl(fd_.get(), FICLONERANGE, &range) == 0;
}

void OutputFile::commit(std::span<const std::byte> super, std::uint64_t size, bool sync)
{
    write(0, super);
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 || (sync && fsync(fd_.get()) != 0))
        throw system_failure(errno, "cannot write the image " + printable(target_));
    sync_ = sync;
    if (when_ == Publish::on_commit)
        publish();
}

void OutputFile::publish()
{
    if (rename(temporary_.c_str(), target_.c_str()) != 0)
        throw system_failure(errno, "cannot write the image " + printable(target_));
    temporary_.clear();
    if (!sync_)
        return;
    const auto dir = std::filesystem::path(target_).parent_path();
    const UniqueFd parent(open(dir.empty() ? "." : dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent)
        fsync(parent.get());
}

OutputDevice::OutputDevice(const std::string &device, bool force)
{
    target_ = device;
    fd_.reset(open(target_.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    if (!fd_)
        throw system_failure(errno, "cannot write to the device " + printable(target_));
    const off_t capacity = lseek(fd_.get(), 0, SEEK_END);
    if (capacity < 0)
        throw system_failure(errno, "cannot tell the size of the device " + printable(target_));
    take_over(printable(target_), static_cast<std::uint64_t>(capacity), force);
}

void OutputDevice::commit(std::span<const std::byte> super, std::uint64_t size, bool sync)
{
    commit_in_place(super, size, sync);
}

void OutputDevice::bring_to_medium(std::uint64_t, std::uint64_t)
{
    if (fsync(fd_.get()) != 0)
        throw system_failure(errno, "cannot write to the device " + printable(target_));
}

} // namespace daxfs
