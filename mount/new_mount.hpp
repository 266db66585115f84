// SPDX-License-Identifier: Apache-2.0
// Mounting by the system calls that take options one by one and say why they refuse.
#pragma once

#include <stdexcept>
#include <string>

#include "mount_options.hpp"

namespace daxfs {

// The kernel refused; what() is the line it wrote to the context's log, else its errno.
struct MountRefused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct MountRequest {
    std::string source;
    std::string target;
    MountOptions options;
    int dmabuf = -1;     // file descriptor of the memory, if it is one
    bool sloppy = false; // pass over options that the module does not know
    bool fake = false;   // configure, but do not mount
};

// Mounts, or remounts where the options say so. Returns what the kernel remarked, line by line.
std::string mount_daxfs(const MountRequest &request);

// A device-dax node becomes the physical range behind it, unless its driver shares it: adds
// phys= and size= to the options. Other sources stay as they are. Throws what stands against it.
void resolve_device_dax(const std::string &source, MountOptions &options);

} // namespace daxfs
