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

std::string name_in_proc(int fd)
{
    return fmt::format("/proc/self/fd/{}", fd);
}

// What a run that is killed leaves of it is nothing. Without /proc only the superuser could name it.
UniqueFd open_nameless_in(const std::filesystem::path &directory)
{
    UniqueFd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
    if (fd && access(name_in_proc(fd.get()).c_str(), F_OK) != 0)
        fd.reset();
    return fd;
}

bool give_name(int nameless, const std::string &name)
{
    return linkat(AT_FDCWD, name_in_proc(nameless).c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

std::string temporary_name(const std::string &target, int attempt)
{
    constexpr std::size_t longest = 200; // with what is added, a name is at most 255
    const std::filesystem::path path(target);
    const auto base = path.parent_path() / ("." + path.filename().string().substr(0, longest));
    return fmt::format("{}.{}-{}", base.string(), getpid(), attempt);
}

constexpr int most_attempts = 1000;

// A name that is taken (by a run that was killed) is left alone.
UniqueFd open_new(const std::string &target, std::string &name)
{
    for (int attempt = 0;; ++attempt) {
        name = temporary_name(target, attempt);
        UniqueFd fd(open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (fd || errno != EEXIST || attempt == most_attempts)
            return fd;
    }
}

std::runtime_error cannot_make(int why, const std::string &target, const std::string &directory)
{
    std::string message = fmt::format(
        "{} (an image is made as a new file in {}: name one in a directory that "
        "can be written to",
        system_failure(why, "cannot write the image " + printable(target)).what(), printable(directory));
    if (access(target.c_str(), W_OK) == 0)
        message += fmt::format(", or write over it: mkdaxfs - SOURCE >{}", printable(target));
    return std::runtime_error(message + ")");
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

OutputFile::OutputFile(const std::string &target, Publish when, bool sync) : when_(when), sync_(sync)
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
    const std::string directory = std::filesystem::path(target_).parent_path();
    fd_ = open_nameless_in(directory);
    if (!fd_)
        fd_ = open_new(target_, temporary_);
    if (!fd_)
        throw cannot_make(errno, target, directory);
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

// The medium works while files are still read, and fsync(2), which alone says what is on it, has little left
// to wait for: 2.8 s instead of 3.6 for 1.2 GB on ext4, 17 s instead of 23 for 5.2 GB (medians of 7 and 3, on
// a busy machine).
void OutputFile::write(std::uint64_t offset, std::span<const std::byte> bytes)
{
    constexpr std::uint64_t step = 8 << 20;
    FdOutput::write(offset, bytes);
    const std::uint64_t before = written_.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (sync_ && before / step != (before + bytes.size()) / step)
        sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
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

// A file without a name can get one that is free, but cannot take another's place.
void OutputFile::link_beside()
{
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
        const std::string name = temporary_name(target_, attempt);
        if (give_name(fd_.get(), name)) {
            temporary_ = name;
            return;
        }
        if (errno != EEXIST)
            break;
    }
    throw system_failure(errno, "cannot write the image " + printable(target_));
}

void OutputFile::publish()
{
    const bool is_free = temporary_.empty() && give_name(fd_.get(), target_);
    if (!is_free && temporary_.empty())
        link_beside();
    if (!is_free && rename(temporary_.c_str(), target_.c_str()) != 0)
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
