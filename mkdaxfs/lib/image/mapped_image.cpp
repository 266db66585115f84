// SPDX-License-Identifier: Apache-2.0
#include "mapped_image.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daxfs_format.h"
#include "device_dax.hpp"
#include "error.hpp"
#include "unique_fd.hpp"

namespace daxfs {

namespace {

// What a signal handler can look through: no lock, no list. size is set last and cleared first.
struct Slot {
    std::atomic<bool> taken = false;
    std::atomic<const char *> name = nullptr;
    std::atomic<std::uintptr_t> start = 0;
    std::atomic<std::uintptr_t> size = 0;
};
std::array<Slot, 8> slots; // a further image is read without

std::atomic<const char *> tool_name = nullptr;
std::atomic<int> exit_status = 0;
std::atomic_flag is_ending;

static_assert(std::atomic<std::uintptr_t>::is_always_lock_free &&
              std::atomic<const char *>::is_always_lock_free);

iovec part(const char *text)
{
    return {const_cast<char *>(text), std::strlen(text)};
}

[[noreturn]] void end(const char *image, std::uintptr_t offset)
{
    while (is_ending.test_and_set())
        pause(); // another thread has met it, too, and ends this one
    char digits[24] = {};
    char *digit = std::end(digits) - 1;
    do {
        *--digit = static_cast<char>('0' + offset % 10);
        offset /= 10;
    } while (offset != 0);
    const iovec line[] = {
        part(tool_name), part(": cannot read "),
        part(image),     part(" at byte "),
        part(digit),     part(": the medium has an error there, or the file was cut meanwhile\n")};
    if (writev(STDERR_FILENO, line, std::size(line)) < 0)
        _exit(exit_status);
    _exit(exit_status);
}

void on_bus_error(int signal_number, siginfo_t *info, void *)
{
    const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    for (const Slot &slot : slots) {
        if (info->si_code > 0 && at - slot.start < slot.size)
            end(slot.name, at - slot.start);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number); // comes when this returns
}

void remember(std::span<const std::uint8_t> bytes, const char *name)
{
    for (Slot &slot : slots) {
        if (slot.taken.exchange(true))
            continue;
        slot.name = name;
        slot.start = reinterpret_cast<std::uintptr_t>(bytes.data());
        slot.size = bytes.size();
        return;
    }
}

void forget(std::span<const std::uint8_t> bytes)
{
    for (Slot &slot : slots) {
        if (slot.size == 0 || slot.start != reinterpret_cast<std::uintptr_t>(bytes.data()))
            continue;
        slot.size = 0;
        slot.taken = false;
        return;
    }
}

// st_size is 0 for a device.
std::uint64_t size_of(const UniqueFd &fd, const std::string &name)
{
    struct stat st = {};
    if (fstat(fd.get(), &st) != 0)
        throw system_failure(errno, "cannot look at the image " + name);
    if (S_ISDIR(st.st_mode))
        throw std::runtime_error("expected an image file or device, got the directory " + name);
    if (is_device_dax(st))
        return device_dax_size(st);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        throw std::runtime_error("expected an image file, a block device or /dev/daxX.Y, " + name +
                                 (S_ISFIFO(st.st_mode) ? " is a pipe" : " is none of them"));
    const off_t size = lseek(fd.get(), 0, SEEK_END);
    if (size < 0)
        throw system_failure(errno, "cannot tell the size of the image " + name);
    return static_cast<std::uint64_t>(size);
}

} // namespace

MappedImage::MappedImage(const std::string &path) : name_(printable(path))
{
    // Nobody need have a pipe open for it to be refused.
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd)
        throw system_failure(errno, "cannot open the image " + name_);
    const std::uint64_t size = size_of(fd, name_);
    if (size == 0)
        return;
    void *const start = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (start == MAP_FAILED)
        throw system_failure(errno, "cannot map the image " + name_);
    bytes_ = {static_cast<const std::uint8_t *>(start), size};
    remember(bytes_, name_.c_str());
}

MappedImage::~MappedImage()
{
    if (bytes_.empty())
        return;
    forget(bytes_);
    munmap(const_cast<std::uint8_t *>(bytes_.data()), bytes_.size());
}

EndOnUnreadableImage::EndOnUnreadableImage(const char *tool, int status)
{
    tool_name = tool;
    exit_status = status;
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, &before_);
}

EndOnUnreadableImage::~EndOnUnreadableImage()
{
    sigaction(SIGBUS, &before_, nullptr);
}

void touch(std::span<const std::uint8_t> bytes)
{
    const volatile std::uint8_t *const start = bytes.data();
    for (std::size_t at = 0; at < bytes.size(); at += DAXFS_BLOCK_SIZE)
        static_cast<void>(start[at]);
    if (!bytes.empty())
        static_cast<void>(start[bytes.size() - 1]);
}

} // namespace daxfs
