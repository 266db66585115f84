// SPDX-License-Identifier: Apache-2.0
#include "buffer.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "error.hpp"

namespace daxfs {

namespace {

// From <drm/drm.h> and <drm/drm_mode.h>, which only kernel headers and libdrm carry.
struct DrmDumbBuffer {
    std::uint32_t height, width, bpp, flags, handle, pitch;
    std::uint64_t size;
};
struct DrmMapDumb {
    std::uint32_t handle, pad;
    std::uint64_t offset;
};
struct DrmPrimeHandle {
    std::uint32_t handle, flags;
    std::int32_t fd;
};
constexpr unsigned long drm_create_dumb = _IOWR('d', 0xb2, DrmDumbBuffer);
constexpr unsigned long drm_map_dumb = _IOWR('d', 0xb3, DrmMapDumb);
constexpr unsigned long drm_prime_handle_to_fd = _IOWR('d', 0x2d, DrmPrimeHandle);

// open() of an exporter's device, with what to do where the kernel has none.
UniqueFd open_device(const std::string &path, std::string_view hint)
{
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        throw system_failure(errno, fmt::format("cannot open {} ({})", printable(path), hint));
    return fd;
}

void run_ioctl(const UniqueFd &fd, unsigned long request, void *argument, const std::string &what)
{
    if (ioctl(fd.get(), request, argument) < 0)
        throw system_failure(errno, what);
}

class Mapping {
public:
    Mapping(const UniqueFd &fd, std::size_t size, off_t offset)
        : start_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), offset)), size_(size)
    {
        if (start_ == MAP_FAILED)
            throw system_failure(errno, "cannot map the dma-buf");
    }
    Mapping(const Mapping &) = delete;
    Mapping &operator=(const Mapping &) = delete;
    ~Mapping() { munmap(start_, size_); }
    char *bytes() const { return static_cast<char *>(start_); }

private:
    void *start_;
    std::size_t size_;
};

struct ImageFile {
    std::string path;
    UniqueFd fd;
    std::uint64_t size = 0;
    std::uint64_t pages = 0; // size, rounded up to whole pages
};

ImageFile image_in(UniqueFd fd, const std::string &path)
{
    ImageFile image{path, std::move(fd)};
    struct stat info = {};
    if (fstat(image.fd.get(), &info) < 0)
        throw system_failure(errno, "cannot stat " + printable(path));
    // Of a block device stat(2) does not say the size.
    const off_t size =
        S_ISREG(info.st_mode) || S_ISBLK(info.st_mode) ? lseek(image.fd.get(), 0, SEEK_END) : 0;
    if (size <= 0)
        throw std::runtime_error(printable(path) + " is not a file or block device with an image");
    image.size = static_cast<std::uint64_t>(size);
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    image.pages = (image.size + page - 1) / page * page;
    return image;
}

void read_into(const ImageFile &image, char *to)
{
    std::uint64_t done = 0;
    while (done < image.size) {
        const auto got = pread(image.fd.get(), to + done, image.size - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw system_failure(errno, "cannot read " + printable(image.path));
        if (got == 0)
            throw std::runtime_error(printable(image.path) + " became shorter while it was read");
        done += static_cast<std::uint64_t>(got);
    }
}

void sync_buffer(const UniqueFd &buffer, std::uint64_t flags)
{
    dma_buf_sync sync = {.flags = flags | DMA_BUF_SYNC_WRITE};
    while (ioctl(buffer.get(), DMA_BUF_IOCTL_SYNC, &sync) < 0)
        if (errno != EINTR && errno != EAGAIN)
            throw system_failure(errno, "cannot begin or end writing to the dma-buf");
}

void fill(const ImageFile &image, const UniqueFd &buffer)
{
    const Mapping mapping(buffer, image.pages, 0);
    sync_buffer(buffer, DMA_BUF_SYNC_START);
    read_into(image, mapping.bytes());
    sync_buffer(buffer, DMA_BUF_SYNC_END);
}

UniqueFd from_heap(const ImageFile &image, const std::string &name)
{
    const auto heap = open_heap_device(name);
    dma_heap_allocation_data data = {};
    data.len = image.pages;
    data.fd_flags = O_RDWR | O_CLOEXEC;
    run_ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data,
              fmt::format("the heap {} gives no {} bytes", printable(name), image.pages));
    UniqueFd buffer(static_cast<int>(data.fd));
    fill(image, buffer);
    return buffer;
}

UniqueFd from_memfd(const ImageFile &image)
{
    const UniqueFd memory(memfd_create("daxfs", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory || ftruncate(memory.get(), static_cast<off_t>(image.pages)) < 0)
        throw system_failure(errno, fmt::format("cannot have {} bytes of memory", image.pages));
    read_into(image, Mapping(memory, image.pages, 0).bytes());
    if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        throw system_failure(errno, "cannot seal the memory");
    const auto device = open_device("/dev/udmabuf", "CONFIG_UDMABUF; Linux 6.12 of Debian has it");
    udmabuf_create create = {};
    create.memfd = static_cast<std::uint32_t>(memory.get());
    create.flags = UDMABUF_FLAGS_CLOEXEC;
    create.size = image.pages;
    const int fd = ioctl(device.get(), UDMABUF_CREATE, &create);
    if (fd < 0)
        throw system_failure(errno, fmt::format("udmabuf takes no {} bytes (see "
                                                "/sys/module/udmabuf/parameters/size_limit_mb)",
                                                image.pages));
    return UniqueFd(fd);
}

UniqueFd from_drm(const ImageFile &image, const std::string &path)
{
    const auto device = open_device(path, "a DRM device such as vgem's");
    constexpr std::uint32_t row = 4096;
    DrmDumbBuffer dumb = {};
    dumb.width = row;
    dumb.bpp = 8;
    dumb.height = static_cast<std::uint32_t>(image.pages / row);
    run_ioctl(device, drm_create_dumb, &dumb,
              fmt::format("{} gives no buffer of {} bytes", printable(path), image.pages));
    if (dumb.size < image.pages)
        throw std::runtime_error(
            fmt::format("{} gives {} bytes instead of {}", printable(path), dumb.size, image.pages));
    DrmMapDumb map = {.handle = dumb.handle, .pad = 0, .offset = 0};
    run_ioctl(device, drm_map_dumb, &map, "cannot map the buffer of " + printable(path));
    read_into(image, Mapping(device, image.pages, static_cast<off_t>(map.offset)).bytes());
    DrmPrimeHandle prime = {.handle = dumb.handle, .flags = O_CLOEXEC | O_RDWR, .fd = -1};
    run_ioctl(device, drm_prime_handle_to_fd, &prime, printable(path) + " does not export its buffer");
    return UniqueFd(prime.fd);
}

// The image's name, to be seen in /proc/mounts and debugfs. Not worth failing for.
void name_buffer(const UniqueFd &buffer, const std::string &image)
{
    auto name = std::filesystem::path(image).filename().string();
    name.resize(std::min(name.size(), std::size_t{31}));
    static_cast<void>(ioctl(buffer.get(), DMA_BUF_SET_NAME, name.c_str()));
}

} // namespace

UniqueFd open_heap_device(const std::string &name)
{
    if (name.empty() || name.find('/') != std::string::npos)
        throw std::runtime_error("expected the name of a heap in /dev/dma_heap, got " + printable(name));
    return open_device("/dev/dma_heap/" + name, "CONFIG_DMABUF_HEAPS; Linux 6.12 of Debian has it");
}

UniqueFd make_heap_buffer(const std::string &heap, UniqueFd image, const std::string &name)
{
    UniqueFd buffer = from_heap(image_in(std::move(image), name), heap);
    name_buffer(buffer, name);
    return buffer;
}

UniqueFd make_buffer(const MountOptions &options)
{
    UniqueFd file(open(options.image.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        throw system_failure(errno, "cannot open " + printable(options.image));
    const auto image = image_in(std::move(file), options.image);
    UniqueFd buffer;
    if (options.exporter == Exporter::heap)
        buffer = from_heap(image, options.exporter_name);
    else if (options.exporter == Exporter::udmabuf)
        buffer = from_memfd(image);
    else
        buffer = from_drm(image, options.exporter_name);
    name_buffer(buffer, options.image);
    return buffer;
}

} // namespace daxfs
