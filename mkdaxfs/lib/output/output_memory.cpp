// SPDX-License-Identifier: Apache-2.0
#include "output_memory.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#include <fmt/format.h>

#include "buffer.hpp"
#include "error.hpp"
#include "nameless_output.hpp"
#include "new_mount.hpp"

namespace daxfs {

namespace fs = std::filesystem;

namespace {

// What waits in the CPU's caches goes to the memory: msync(2) does nothing for memory that has no
// file behind it, and device-dax refuses it.
void flush_caches(const std::byte *start, std::uint64_t size)
{
#if defined(__x86_64__)
    for (std::uint64_t at = 0; at < size; at += 64)
        _mm_clflush(start + at);
    _mm_sfence();
#elif defined(__aarch64__)
    for (std::uint64_t at = 0; at < size; at += 16)
        asm volatile("dc cvac, %0" : : "r"(start + at) : "memory");
    asm volatile("dsb sy" : : : "memory");
#else
    static_cast<void>(start), static_cast<void>(size);
#endif
}

// MAP_FAILED, and errno, where that cannot be.
void *map(const UniqueFd &fd, std::uint64_t offset, std::uint64_t size)
{
    return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), static_cast<off_t>(offset));
}

class MappedOutput : public Output {
public:
    // start: what map() returned for this size.
    MappedOutput(void *start, std::uint64_t size, std::string name, bool force)
        : name_(std::move(name)), size_(size), start_(start)
    {
        try {
            take_over(name_, size_, force);
        } catch (...) {
            munmap(start_, size_);
            throw;
        }
    }
    MappedOutput(const MappedOutput &) = delete;
    MappedOutput &operator=(const MappedOutput &) = delete;
    ~MappedOutput() override { munmap(start_, size_); }

    void write(std::uint64_t offset, std::span<const std::byte> bytes) override
    {
        if (offset > size_ || bytes.size() > size_ - offset)
            throw std::runtime_error(fmt::format("{} has {} bytes, the image needs more", name_, size_));
        if (!bytes.empty())
            std::memcpy(bytes_at(offset), bytes.data(), bytes.size());
    }

    void read(std::uint64_t offset, std::span<std::byte> to) const override
    {
        std::memcpy(to.data(), bytes_at(offset), to.size());
    }

    void zero(std::uint64_t offset, std::uint64_t size) override { write_zeros(offset, size); }

    void commit(std::span<const std::byte> super, std::uint64_t size, bool sync) override
    {
        commit_in_place(super, size, sync);
    }

    bool is_in_place() const override { return true; }

protected:
    void bring_to_medium(std::uint64_t offset, std::uint64_t size) override
    {
        flush_caches(bytes_at(offset), size);
    }

private:
    std::byte *bytes_at(std::uint64_t offset) const { return static_cast<std::byte *>(start_) + offset; }

    std::string name_;
    std::uint64_t size_;
    void *start_;
};

class HeapOutput : public NamelessOutput {
public:
    HeapOutput(std::string heap, std::string directory)
        : heap_(std::move(heap)), directory_(std::move(directory))
    {
        open_heap_device(heap_);
        if (!fs::is_directory(directory_))
            throw std::runtime_error(
                fmt::format("cannot mount at {}: it is no directory", printable(directory_)));
    }

    void commit(std::span<const std::byte> super, std::uint64_t size, bool) override
    {
        complete(super, size);
        const UniqueFd buffer = make_heap_buffer(heap_, std::move(fd_), "mkdaxfs");
        MountRequest request;
        request.source = "none";
        request.target = directory_;
        request.dmabuf = buffer.get();
        try {
            mount_daxfs(request);
        } catch (const MountRefused &refused) {
            throw std::runtime_error(
                fmt::format("cannot mount at {}: {}", printable(directory_), refused.what()));
        }
    }

private:
    std::string heap_;
    std::string directory_;
};

std::string joined(const std::vector<std::string> &names)
{
    std::string all;
    for (const std::string &name : names)
        all += (all.empty() ? "" : ", ") + printable(name);
    return all;
}

} // namespace

std::unique_ptr<Output> open_device_dax(const std::string &path, bool force)
{
    const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct stat st = {};
    if (!fd || fstat(fd.get(), &st) != 0)
        throw system_failure(errno, "cannot write to the device " + printable(path));
    const std::uint64_t size = device_dax_size(st);
    if (size == 0)
        throw std::runtime_error(printable(path) + " has no memory");
    void *const start = map(fd, 0, size);
    if (start == MAP_FAILED)
        throw system_failure(errno, "cannot map the device " + printable(path));
    return std::make_unique<MappedOutput>(start, size, printable(path), force);
}

std::unique_ptr<Output> open_physical(const PhysicalRange &range, bool force)
{
    const UniqueFd memory(open("/dev/mem", O_RDWR | O_CLOEXEC));
    if (!memory)
        throw system_failure(errno, "cannot open /dev/mem, which --phys writes through (it takes "
                                    "CAP_SYS_RAWIO and a kernel that is not locked down)");
    std::ifstream iomem("/proc/iomem");
    const auto claims = claims_on(range, iomem);
    refuse_if_in_use(range, claims);
    void *const start = map(memory, range.start, range.size);
    if (start == MAP_FAILED && errno == EPERM)
        throw std::runtime_error(
            fmt::format("this kernel keeps /dev/mem from {} (CONFIG_STRICT_DEVMEM), which holds: {}",
                        show(range), joined(claims)));
    if (start == MAP_FAILED)
        throw system_failure(errno, "cannot map " + show(range));
    return std::make_unique<MappedOutput>(start, range.size, show(range), force);
}

std::unique_ptr<Output> open_heap(const std::string &heap, const std::string &directory)
{
    return std::make_unique<HeapOutput>(heap, directory);
}

} // namespace daxfs
