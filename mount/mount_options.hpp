// SPDX-License-Identifier: Apache-2.0
// What follows -o: for this mount point, for the filesystem, or for mount.daxfs itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daxfs {

// Where a buffer that is to hold the image comes from.
enum class Exporter { none, heap, udmabuf, drm };

struct MountOptions {
    Exporter exporter = Exporter::none;
    std::string exporter_name; // the heap, or the DRM device's path
    std::string image;         // file to fill the buffer with
    int dmabuf = -1;           // a dma-buf the caller has open
    bool read_only = true;
    bool remount = false;
    std::uint64_t attributes = 0;                                // MOUNT_ATTR_* to set
    std::uint64_t cleared = 0;                                   // MOUNT_ATTR_* to clear by a remount
    std::vector<std::pair<std::string, std::string>> filesystem; // for the module; "" no value
};

// Adds a comma-separated list; a value in double quotes may hold commas. Throws
// std::invalid_argument with the line to print.
void parse_options(std::string_view list, MountOptions &options);

// Checks what goes together, once all lists are in. Throws like parse_options().
void check_options(const MountOptions &options);

} // namespace daxfs
