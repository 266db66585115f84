// SPDX-License-Identifier: Apache-2.0
#include "memory_sources.hpp"

#include <filesystem>
#include <map>
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

// The first name in a folder that begins so; "" where there is none.
std::string entry_of(const fs::path &folder, std::string_view start)
{
    std::error_code ignored;
    for (const auto &entry : fs::directory_iterator(folder, ignored))
        if (const std::string name = entry.path().filename(); name.starts_with(start))
            return name;
    return "";
}

// The guests have one at most.
std::string dax_device()
{
    const auto name = entry_of(dax_bus / "devices", "dax");
    if (name.empty())
        throw std::runtime_error(
            "expected a device-dax, /sys/bus/dax/devices has none: was the guest started with one, and are "
            "dax_hmem and device_dax loaded?");
    return name;
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

// By sysfs, as `cxl create-region -m -t ram -d decoder0.0 mem0` does (Debian 12's ndctl knows no such type).
void make_cxl_region()
{
    const fs::path bus = "/sys/bus/cxl/devices";
    wait_for("a CXL memory device and its endpoint",
             [&] { return !entry_of(bus, "mem0").empty() && !entry_of(bus, "endpoint").empty(); });
    if (!entry_of(bus, "region").empty())
        return;
    const std::string size(trim(read_file(bus / "mem0/ram/size")));
    // endpoint2 has decoder2.0
    const auto decoder =
        "decoder" + entry_of(bus, "endpoint").substr(std::string_view("endpoint").size()) + ".0";
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

using Prepared = PreparedMemory;

Prepared free_device_dax()
{
    const auto device = dax_device();
    unbind(device);
    return {"/dev/" + device, ""};
}

Prepared cxl_memory()
{
    make_cxl_region();
    wait_for("a device-dax of the region", [] { return !entry_of(dax_bus / "devices", "dax").empty(); });
    return free_device_dax();
}

Prepared shared_device_dax()
{
    const auto device = dax_device();
    bind_to(device, "fsdev_dax");
    return {"/dev/" + device, ""};
}

Prepared filled_buffer(const std::string &exporter)
{
    return {"none", fmt::format(",{},image={}", exporter, resolve_source("pmem"))};
}

Prepared memfd_buffer()
{
    write_attribute("/sys/module/udmabuf/parameters/size_limit_mb", "65536");
    return filled_buffer("udmabuf");
}

const std::map<std::string, Prepared (*)()> sources = {
    {"cxl", cxl_memory},
    {"device-dax", free_device_dax},
    {"fsdev-dax", shared_device_dax},
    {"dma-heap", [] { return filled_buffer("dmabuf-heap=system"); }},
    {"udmabuf", memfd_buffer},
    {"drm", [] { return filled_buffer("dmabuf-drm=/dev/dri/card0"); }},
};

} // namespace

bool is_memory_source(const std::string &source)
{
    return sources.contains(source);
}

PreparedMemory prepare_memory(const std::string &source)
{
    return sources.at(source)();
}

void mount_by_helper(const PreparedMemory &memory, const std::string &options, const std::string &target)
{
    ProcessSpec helper;
    helper.argv = {"/sbin/mount.daxfs", memory.source, target, "-o", options + memory.options};
    helper.env = default_env();
    const auto result = run_process(helper);
    if (result.status != 0)
        throw std::runtime_error(fmt::format("cannot mount {} at {}: mount.daxfs ended with status {}: {}",
                                             memory.source, target, result.status, trim(result.err)));
}

} // namespace daxbench
