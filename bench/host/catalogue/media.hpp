// SPDX-License-Identifier: Apache-2.0
// What a filesystem's `medium` means: how QEMU gives a guest the image, and what the guest mounts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

/// How the image gets into a guest's machine.
enum class Backing {
    none,   ///< not at all, or as the seed's disk
    pmem,   ///< virtio-pmem
    nvdimm, ///< an NVDIMM whose DAX is off
    range,  ///< memory of the machine's second NUMA node, from range_start on
    cxl,    ///< a CXL type 3 device behind a host bridge
    disk,   ///< virtio-blk
    ivshmem ///< BAR 2 of a PCI device; for tests
};

/// Guest physical address of the memory of Backing::range, the same in each guest.
inline constexpr std::uint64_t range_start = std::uint64_t{4} << 30;

struct Medium {
    std::string name;
    Backing backing = Backing::none;
    /// The sign in `memmap=SIZE<sign>START<rest>`, and the rest: as what the kernel takes the range.
    std::string memmap_sign = {};
    std::string memmap_rest = {};
    std::string source = {}; ///< of the agent's `mount`; "" where the tree is copied ("seed")
    std::string meaning = {};
    bool behind_switch = false; ///< Backing::cxl
    bool declared = true;       ///< may stand in workloads/filesystems; otherwise for tests
};

const std::vector<Medium> &media();
/// Throws std::runtime_error naming those there are.
const Medium &medium_named(std::string_view name);
std::vector<std::string> declared_media();

} // namespace daxbench
