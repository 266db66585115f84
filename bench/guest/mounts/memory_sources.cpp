// SPDX-License-Identifier: Apache-2.0
#include "memory_sources.hpp"

#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <time.h>
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

// The kernel finds the device some time after its drivers were loaded.
template <typename There> void wait_for(const std::string &what, There there)
{
    for (int tries = 0; tries < 1000; ++tries) {
        if (there())
            return;
        const timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
    }
    throw std::runtime_error("expected " + what + " within 20 s, there is none");
}

bool has_entry(const char *folder, std::string_view start)
{
    std::error_code ignored;
    for (const auto &entry : fs::directory_iterator(folder, ignored))
        if (entry.path().filename().string().starts_with(start))
            return true;
    return false;
}

// By sysfs, as `cxl create-region -m -t ram -d decoder0.0 mem0` does (Debian 12's ndctl knows no such type).
void make_cxl_region()
{
    const fs::path bus = "/sys/bus/cxl/devices";
    wait_for("a CXL memory device and its endpoint",
             [&] { return has_entry(bus.c_str(), "mem0") && has_entry(bus.c_str(), "endpoint"); });
    if (has_entry(bus.c_str(), "region"))
        return;
    const std::string size(trim(read_file(bus / "mem0/ram/size")));
    fs::path endpoint;
    for (const auto &entry : fs::directory_iterator(bus))
        if (entry.path().filename().string().starts_with("endpoint"))
            endpoint = entry.path();
    // endpoint2 has decoder2.0
    const auto decoder =
        "decoder" + endpoint.filename().string().substr(std::string("endpoint").size()) + ".0";
    write_attribute(bus / decoder / "mode", "ram");
    write_attribute(bus / decoder / "dpa_size", size);
    const std::string region(trim(read_file(bus / "decoder0.0/create_ram_region")));
    write_attribute(bus / "decoder0.0/create_ram_region", region);
    write_attribute(bus / region / "interleave_granularity", "256");
    write_attribute(bus / region / "interleave_ways", "1");
    write_attribute(bus / region / "size", size);
    write_attribute(bus / region / "target0", decoder);
    write_attribute(bus / region / "commit", "1");
    write_attribute("/sys/bus/cxl/drivers/cxl_region/bind", region);
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
    if (source == "cxl") {
        make_cxl_region();
        wait_for("a device-dax of the region", [] { return has_entry("/sys/bus/dax/devices", "dax"); });
    }
    if (source == "device-dax" || source == "cxl") {
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
    return source == "cxl" || source == "device-dax" || source == "fsdev-dax" || source == "dma-heap" ||
           source == "udmabuf" || source == "drm";
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
