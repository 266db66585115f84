// SPDX-License-Identifier: Apache-2.0
#include "devices.hpp"

#include <filesystem>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <time.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io.hpp"
#include "protocol.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

// Where QEMU put the device shows in its path: …/0000:00:10.0/virtio2/…/block/pmem0.
std::string pmem_at(const std::string &address)
{
    std::error_code ignored;
    for (const auto &disk : fs::directory_iterator("/sys/block", ignored)) {
        const std::string path = fs::canonical(disk.path(), ignored);
        const std::string name = disk.path().filename();
        if (name.starts_with("pmem") && path.find(":" + address + "/") != std::string::npos)
            return "/dev/" + name;
    }
    return {};
}

std::string disk_with_serial(const std::string &serial)
{
    std::error_code ignored;
    for (const auto &disk : fs::directory_iterator("/sys/block", ignored)) {
        const fs::path file = disk.path() / "serial";
        if (fs::exists(file) && trim(read_file(file)) == serial)
            return "/dev/" + disk.path().filename().string();
    }
    return {};
}

// The node is there a moment before the disk behind it, which its driver adds in the background.
bool can_open(const char *device)
{
    return static_cast<bool>(UniqueFd(::open(device, O_RDONLY | O_CLOEXEC)));
}

std::string find_device(const std::string &source)
{
    if (source == "tools")
        return pmem_at(pmem_address("tools"));
    const std::string disk = source == "pmem" ? "" : disk_with_serial(source);
    if (!disk.empty())
        return disk;
    // What a tree is seeded from may be memory, too. The address is for virtio-pmem: an NVDIMM has none.
    const std::string memory = pmem_at(pmem_address("image"));
    return memory.empty() ? "/dev/pmem0" : memory;
}

std::string find_usable_device(const std::string &source)
{
    const std::string device = find_device(source);
    return !device.empty() && can_open(device.c_str()) ? device : "";
}

std::vector<std::string> block_devices()
{
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto &disk : fs::directory_iterator("/sys/block", ignored))
        names.push_back(disk.path().filename());
    return names;
}

} // namespace

std::string resolve_source(const std::string &source)
{
    if (source.starts_with('/'))
        return source;
    if (source == "none" || source == "reserved")
        return "none";
    for (int tries = 0; tries < 500; ++tries) {
        const std::string device = find_usable_device(source);
        if (!device.empty())
            return device;
        const timespec pause{0, 10'000'000};
        ::nanosleep(&pause, nullptr);
    }
    throw std::runtime_error(fmt::format(
        "expected the device '{}', found only {}: was the guest started with it, and is its driver "
        "among the base modules?",
        source, fmt::join(block_devices(), ", ")));
}

} // namespace daxbench
