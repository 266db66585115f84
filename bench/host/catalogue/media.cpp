// SPDX-License-Identifier: Apache-2.0
#include "media.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "protocol.hpp"

namespace daxbench {

const std::vector<Medium> &media()
{
    static const std::vector<Medium> all = {
        {.name = "pmem",
         .backing = Backing::pmem,
         .source = "pmem",
         .meaning = "virtio-pmem (also for a rival in the page cache)"},
        {.name = "virtio-blk",
         .backing = Backing::disk,
         .source = disk_serial,
         .meaning = "a disk that the host reads with O_DIRECT where its cache's filesystem has it"},
        {.name = "ram", .meaning = "the guest's own memory, into which the image's tree is copied"},
        {.name = "nvdimm-nodax",
         .backing = Backing::nvdimm,
         .source = "pmem",
         .meaning = "an NVDIMM whose DAX is off (for tests)"},
        {.name = "reserved",
         .backing = Backing::range,
         .memmap_sign = "$",
         .source = "reserved",
         .meaning = "memory that the machine has at 4 GiB, in each guest the same, reserved by `memmap=`: "
                    "mounted by `phys=`"},
        {.name = "memmap-pmem",
         .backing = Backing::range,
         .memmap_sign = "!",
         .source = "pmem",
         .meaning = "the same memory as a pmem device of the kernel's own (module nd_e820)"},
        {.name = "device-dax",
         .backing = Backing::range,
         .memmap_sign = "%",
         .memmap_rest = "-1+0xefffffff",
         .source = "device-dax",
         .meaning = "the same memory as a device-dax that no driver holds (modules dax_hmem, device_dax)"},
        {.name = "fsdev-dax",
         .backing = Backing::range,
         .memmap_sign = "%",
         .memmap_rest = "-1+0xefffffff",
         .source = "fsdev-dax",
         .meaning = "the same memory as a device-dax of the driver that filesystems may share (module "
                    "fsdev_dax, Linux 7.x)"},
        {.name = "dma-heap",
         .backing = Backing::pmem,
         .source = "dma-heap",
         .meaning = "a dma-buf of the system heap, filled from the image on virtio-pmem"},
        {.name = "udmabuf",
         .backing = Backing::pmem,
         .source = "udmabuf",
         .meaning = "a dma-buf of a memfd, filled in the same way"},
        {.name = "drm",
         .backing = Backing::pmem,
         .source = "drm",
         .meaning = "a dma-buf of a DRM device (module vgem), filled in the same way"},
        {.name = "cxl",
         .backing = Backing::cxl,
         .source = "cxl",
         .meaning =
             "volatile memory of a CXL type 3 device, of which the guest makes a region: a device-dax"},
        {.name = "cxl-switch",
         .backing = Backing::cxl,
         .source = "cxl",
         .meaning = "the same with a CXL switch between",
         .behind_switch = true},
        {.name = "ivshmem", .backing = Backing::ivshmem, .declared = false},
        {.name = "none", .meaning = "nothing is mounted, the guest itself is measured"},
    };
    return all;
}

const Medium &medium_named(std::string_view name)
{
    const auto found = std::ranges::find(media(), name, &Medium::name);
    if (found == media().end())
        throw std::runtime_error(
            fmt::format("expected one of the media {}, got \"{}\"", fmt::join(declared_media(), ", "), name));
    return *found;
}

std::vector<std::string> declared_media()
{
    std::vector<std::string> names;
    for (const auto &medium : media())
        if (medium.declared)
            names.push_back(medium.name);
    return names;
}

} // namespace daxbench
