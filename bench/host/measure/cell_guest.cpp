// SPDX-License-Identifier: Apache-2.0
// What one cell's guests are, and what they need.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>

#include <fmt/core.h>

#include "media.hpp"
#include "world.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using std::string;

bool on_cxl(const Catalogue &catalogue, const Cell &cell)
{
    return needs_guest(cell) &&
           medium_named(catalogue.filesystems.at(cell.filesystem).medium).backing == Backing::cxl;
}

bool needs_guest(const Cell &cell)
{
    return cell.driver != Driver::build;
}

bool needs_tools(const Cell &cell)
{
    return std::any_of(cell.workloads.begin(), cell.workloads.end(),
                       [](const auto &workload) { return workload.at("engine") == "fio"; });
}

bool needs_overlay(const Cell &cell)
{
    static const std::set<string> engines{"container", "containers", "layers"};
    return std::any_of(cell.workloads.begin(), cell.workloads.end(), [](const auto &workload) {
        return engines.contains(workload.at("engine").template get<string>());
    });
}

string why_not_direct(const fs::path &image)
{
    const Fd fd(open(image.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    if (fd)
        return "";
    return fmt::format(
        "the host reads the disk through its own page cache: O_DIRECT is not to be had for {} ({})",
        image.string(), std::strerror(errno));
}

string too_old(const string &release, const FilesystemSpec &filesystem)
{
    const auto version = [](const string &text) {
        std::pair<int, int> parts;
        std::sscanf(text.c_str(), "%d.%d", &parts.first, &parts.second);
        return parts;
    };
    if (filesystem.since_kernel.empty() || version(release) >= version(filesystem.since_kernel))
        return "";
    return fmt::format(
        "expected Linux {} or later, the first with {}, the guest's kernel is {}: use --kernel-series",
        filesystem.since_kernel, filesystem.label, release);
}

GuestConfig guest_config(const World &world, const Catalogue &catalogue, const Cell &cell, int instance,
                         const fs::path &log_dir)
{
    const auto &filesystem = catalogue.filesystems.at(cell.filesystem);
    GuestConfig config;
    config.name = cell.instances == 1 ? cell.id : fmt::format("{} guest {}", cell.id, instance + 1);
    const auto &kernel = world.kernels.at(cell.kernel_of(instance));
    config.kernel = kernel.kernel;
    config.initramfs = kernel.initramfs;
    config.accel = world.accel.name;
    config.icount = counts_instructions(world, cell);
    config.memory_mib = static_cast<std::uint64_t>(cell.memory_mib);
    if (config.accel == "kvm")
        config.cpus = static_cast<unsigned>(cell.cpus);
    else
        config.cpus = static_cast<unsigned>(cell.emulated_cpus);
    if (filesystem.mounts()) {
        const auto &image = world.images.at({filesystem.needed_image(), cell.dataset});
        config.medium = filesystem.medium;
        if (filesystem.medium == "ram" && config.icount)
            // A disk's interrupts come when the host pleases; memory is read the same way each time.
            config.medium = "pmem";
        (config.medium == "ram" ? config.seed : config.image) = image.path;
        config.direct = config.medium == "virtio-blk" && why_not_direct(image.path).empty();
    }
    if (on_cxl(catalogue, cell))
        config.qemu = world.cxl_qemu;
    if (cell.tools)
        config.tools = world.images.at({cell.tools->image, cell.tools->dataset}).path;
    else if (needs_tools(cell) && world.tools)
        config.tools = world.tools->path;
    if (cell.driver == Driver::traced)
        config.plugin = world.paths.build / "bench/plugin/profile.so";
    config.plugin_model = cell.model;
    config.log_dir = log_dir / fmt::format("guest{}", instance + 1);
    return config;
}

bool counts_instructions(const World &world, const Cell &cell)
{
    return cell.clock == ClockKind::instructions && world.accel.name == "tcg";
}

} // namespace daxbench
