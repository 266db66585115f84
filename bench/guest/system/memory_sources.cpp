// SPDX-License-Identifier: Apache-2.0
#include "memory_sources.hpp"

#include <filesystem>
#include <map>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "devices.hpp"
#include "io.hpp"
#include "process.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

const fs::path dax_bus = "/sys/bus/dax";

void write_attribute(const fs::path &file, const std::string &text)
{
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) < 0)
        throw_errno(fmt::format("cannot write '{}' to {}", text, file.string()));
}

// The guests have one at most.
std::string dax_device()
{
    std::error_code ignored;
    for (const auto &device : fs::directory_iterator(dax_bus / "devices", ignored))
        return device.path().filename();
    throw std::runtime_error(
        "expected a device-dax, /sys/bus/dax/devices has none: was the guest started with one, and are "
        "dax_hmem and device_dax loaded?");
}

void unbind(const std::string &device)
{
    const fs::path driver = dax_bus / "devices" / device / "driver";
    if (!fs::exists(driver))
        return;
    // Told once which devices are its own, a driver keeps them.
    const auto name = fs::canonical(driver).filename();
    write_attribute(driver / "unbind", device);
    const UniqueFd forget(::open((dax_bus / "drivers" / name / "remove_id").c_str(), O_WRONLY | O_CLOEXEC));
    if (forget && ::write(forget.get(), device.data(), device.size()) < 0 && errno != EINVAL)
        throw_errno("cannot make the driver of " + device + " forget it");
}

void bind_to(const std::string &device, const std::string &driver)
{
    const fs::path now = dax_bus / "devices" / device / "driver";
    if (fs::exists(now) && fs::canonical(now).filename() == driver)
        return;
    unbind(device);
    write_attribute(dax_bus / "drivers" / driver / "new_id", device);
    if (!fs::exists(now))
        write_attribute(dax_bus / "drivers" / driver / "bind", device);
}

struct Prepared {
    std::string source;
    std::string options; // beside those of the declaration
};

Prepared prepare(const std::string &source)
{
    // Of dma-bufs: what the module keeps of it is seen in /proc/mounts.
    const auto filled = [](const std::string &exporter) {
        return Prepared{"none", fmt::format(",{},image={}", exporter, resolve_source("pmem"))};
    };
    if (source == "device-dax") {
        const auto device = dax_device();
        unbind(device);
        return {"/dev/" + device, ""};
    }
    if (source == "fsdev-dax") {
        const auto device = dax_device();
        bind_to(device, "fsdev_dax");
        return {"/dev/" + device, ""};
    }
    if (source == "udmabuf") {
        write_attribute("/sys/module/udmabuf/parameters/size_limit_mb", "65536");
        return filled("udmabuf");
    }
    return filled(source == "drm" ? "dmabuf-drm=/dev/dri/card0" : "dmabuf-heap=system");
}

} // namespace

bool is_memory_source(const std::string &source)
{
    return source == "device-dax" || source == "fsdev-dax" || source == "dma-heap" || source == "udmabuf" ||
           source == "drm";
}

void mount_memory(const std::string &source, const std::string &options, const std::string &target)
{
    const auto prepared = prepare(source);
    ProcessSpec helper;
    helper.argv = {"/sbin/mount.daxfs", prepared.source, target, "-o", options + prepared.options};
    helper.env = default_env();
    const auto result = run_process(helper);
    if (result.status != 0)
        throw std::runtime_error(fmt::format("cannot mount {} at {}: mount.daxfs ended with status {}: {}",
                                             source, target, result.status, trim(result.err)));
}

} // namespace daxbench
