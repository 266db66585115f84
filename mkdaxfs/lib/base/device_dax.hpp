// SPDX-License-Identifier: Apache-2.0
// /dev/daxX.Y: memory to be mapped, which has no size that stat(2) or lseek(2) would tell.
#pragma once

#include <cstdint>
#include <string>

#include <sys/stat.h>

namespace daxfs {

bool is_device_dax(const struct stat &file);
bool is_device_dax(const std::string &path);

// Bytes of its memory, as sysfs says; 0 when that cannot be read.
std::uint64_t device_dax_size(const struct stat &device);

} // namespace daxfs
