// SPDX-License-Identifier: Apache-2.0
#include "device_dax.hpp"

#include <filesystem>
#include <fstream>

#include <sys/sysmacros.h>

#include <fmt/core.h>

namespace daxfs {

namespace fs = std::filesystem;

namespace {

fs::path sysfs_of(const struct stat &device)
{
    return fmt::format("/sys/dev/char/{}:{}", major(device.st_rdev), minor(device.st_rdev));
}

} // namespace

bool is_device_dax(const struct stat &file)
{
    std::error_code none;
    return S_ISCHR(file.st_mode) && fs::read_symlink(sysfs_of(file) / "subsystem", none).filename() == "dax";
}

bool is_device_dax(const std::string &path)
{
    struct stat st = {};
    return stat(path.c_str(), &st) == 0 && is_device_dax(st);
}

std::uint64_t device_dax_size(const struct stat &device)
{
    std::uint64_t size = 0;
    std::ifstream(sysfs_of(device) / "size") >> size;
    return size;
}

} // namespace daxfs
