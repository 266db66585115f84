// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <fmt/core.h>

#include "cache.hpp"
#include "initramfs.hpp"
#include "kernel_modules.hpp"
#include "source_kernel.hpp"

#ifndef DAXFS_SOURCE_DIR
#error "DAXFS_SOURCE_DIR must be defined by the build"
#endif

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;

constexpr const char *debian_kernel = "6.12";
constexpr const char *tools_filesystem = "erofs"; // what the tools and seed disks are

string image_key(const string &image, const string &dataset)
{
    return image + "/" + dataset;
}

string tool_key(const string &image)
{
    return "tool of " + image;
}

string module_key(const string &module)
{
    return "module " + module;
}

/// Runs `make`; what it throws becomes the reason why `key` is missing. Ctrl-C goes through.
template <typename Make> void note_missing(World &world, const string &key, Make make)
{
    try {
        make();
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &error) {
        world.missing.emplace(key, error.what());
    }
}

/// Runs `make`, and `otherwise` where it fails.
template <typename Make, typename Otherwise> void attempt(Make make, Otherwise otherwise)
{
    try {
        make();
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &) {
        otherwise();
    }
}

string in_capitals(string name)
{
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

InitramfsSpec initramfs_spec(World &world, const Catalogue &catalogue)
{
    InitramfsSpec spec;
    spec.kernel = world.kernel;
    spec.agent = world.paths.build / "bench/guest/agent";
    spec.programs = {{"sbin/mount.daxfs", world.paths.build / "mount/mount.daxfs"}};
    const KernelModules known(world.kernel.modules_dir);
    // A kernel may lack what only some cells need: they fail, the others run.
    const auto add = [&](const string &module) {
        if (known.has(module))
            spec.modules[module] = {module};
        else
            world.missing.emplace(
                module_key(module),
                fmt::format("expected the module {} in the guest's kernel {}, it has none of "
                            "that name: use a kernel with it, or leave out what needs it",
                            module, world.kernel.release));
    };
    add(tools_filesystem);
    for (const auto &[id, filesystem] : catalogue.filesystems) {
        for (const auto &module : filesystem.modules)
            add(module);
        const auto &external = filesystem.external_module;
        if (external.empty())
            continue;
        const auto path = module_path(world.paths, world.kernel, external);
        if (fs::exists(path))
            spec.external_modules[external] = path;
        else
            world.missing.emplace(module_key(external),
                                  fmt::format("expected the module {}, it is not there; build it with ninja "
                                              "-C {} (kernel headers: daxbench setup)",
                                              path.string(), world.paths.build.string()));
    }
    world.external_modules = spec.external_modules;
    return spec;
}

} // namespace

Paths own_paths()
{
    Paths paths;
    paths.source = DAXFS_SOURCE_DIR;
    // build/bench/host/daxbench
    paths.build = fs::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path();
    return paths;
}

fs::path kernel_configs(const Paths &paths)
{
    return paths.source / "setup/kernels";
}

Kernel choose_kernel(const KernelChoice &choice, const Progress &progress)
{
    if (!choice.series.empty())
        return source_kernel(source_kernel_name(choice.series), kernel_configs(own_paths()), progress);
    if (choice.vmlinuz.empty())
        return fetch_debian_kernel(debian_kernel, progress);
    return user_kernel(choice.vmlinuz, choice.modules, choice.headers);
}

fs::path module_path(const Paths &paths, const Kernel &kernel, const string &module)
{
    return paths.build / "kmod" / kernel.release / (module + ".ko");
}

World make_base(const Paths &paths, const KernelChoice &choice, const string &accel,
                const Catalogue &catalogue, bool fresh_probe, const Progress &progress)
{
    World world;
    world.paths = paths;
    world.kernel = choose_kernel(choice, progress);
    progress("making the guests' initramfs");
    world.initramfs = ensure_initramfs(initramfs_spec(world, catalogue));
    progress("booting a guest to see which accelerator works");
    world.accel = probe_accel(accel, world.kernel, world.initramfs, fresh_probe, progress);
    return world;
}

World make_host_base(const Paths &paths)
{
    World world;
    world.paths = paths;
    world.accel.name = "none";
    world.accel.reason = "nothing runs in a guest";
    return world;
}

World foresee(const Paths &paths, const KernelChoice &choice, const string &accel, const Catalogue &catalogue,
              const std::vector<Cell> &cells, const Progress &progress)
{
    Cache::make_nothing();
    auto world = make_host_base(paths);
    if (std::any_of(cells.begin(), cells.end(), needs_guest)) {
        attempt([&] { world.kernel = choose_kernel(choice, progress); },
                [&] { world.kernel.release = world.kernel.vmlinuz = "KERNEL"; });
        attempt(
            [&] {
                world.initramfs = ensure_initramfs(initramfs_spec(world, catalogue));
                world.accel = probe_accel(accel, world.kernel, world.initramfs, false, progress);
            },
            [&] {
                world.initramfs = world.initramfs.empty() ? "INITRAMFS" : world.initramfs;
                world.accel = {accel == "kvm" ? "kvm" : "tcg", "not tried", false, 0};
            });
    }
    add_needs(world, catalogue, cells, progress);
    world.missing.clear(); // a run would make it
    for (const auto &cell : cells) {
        if (!needs_guest(cell)) {
            if (world.datasets[cell.dataset].dir.empty())
                world.datasets[cell.dataset].dir = in_capitals(cell.dataset);
            if (world.image_tools[cell.filesystem].command.empty())
                world.image_tools[cell.filesystem].command = {in_capitals(cell.filesystem)};
            continue;
        }
        const auto &id = catalogue.filesystems.at(cell.filesystem).needed_image();
        auto &image = world.images[{id, cell.dataset}];
        if (image.path.empty())
            image.path = in_capitals(id + "-of-" + cell.dataset);
        if (needs_tools(cell) && !world.tools)
            world.tools = ToolsImage{"TOOLS", {}};
    }
    return world;
}

void add_needs(World &world, const Catalogue &catalogue, const std::vector<Cell> &cells,
               const Progress &progress)
{
    const Substitutions substitutions{{"build", world.paths.build.string()}};
    for (const auto &cell : cells) {
        if (!world.datasets.contains(cell.dataset) && !world.missing.contains(cell.dataset))
            note_missing(world, cell.dataset, [&] {
                world.datasets[cell.dataset] = ensure_dataset(catalogue.datasets.at(cell.dataset), progress);
            });
        if (needs_tools(cell) && !world.tools && !world.missing.contains("tools"))
            note_missing(world, "tools", [&] { world.tools = ensure_tools_image(progress); });

        if (!needs_guest(cell)) {
            const auto &id = cell.filesystem;
            if (!world.image_tools.contains(id) && !world.missing.contains(tool_key(id)))
                note_missing(world, tool_key(id), [&] {
                    world.image_tools[id] = image_tool(catalogue.images.at(id), substitutions, progress);
                });
            continue;
        }
        const auto dataset = world.datasets.find(cell.dataset);
        const auto &image = catalogue.filesystems.at(cell.filesystem).needed_image();
        const auto key = image_key(image, cell.dataset);
        if (dataset == world.datasets.end() || world.images.contains({image, cell.dataset}) ||
            world.missing.contains(key))
            continue;
        note_missing(world, key, [&] {
            world.images[{image, cell.dataset}] =
                ensure_image(catalogue.images.at(image), dataset->second, substitutions, progress);
        });
    }
}

string why_not(const World &world, const Catalogue &catalogue, const Cell &cell)
{
    std::vector<string> needs{cell.dataset};
    if (needs_guest(cell)) {
        const auto &filesystem = catalogue.filesystems.at(cell.filesystem);
        needs.push_back(image_key(filesystem.needed_image(), cell.dataset));
        needs.push_back(module_key(filesystem.external_module));
        for (const auto &module : filesystem.modules)
            needs.push_back(module_key(module));
    } else {
        needs.push_back(tool_key(cell.filesystem));
    }
    if (needs_tools(cell))
        needs.emplace_back("tools");
    for (const auto &need : needs)
        if (const auto found = world.missing.find(need); found != world.missing.end())
            return found->second;
    return "";
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

GuestConfig guest_config(const World &world, const Catalogue &catalogue, const Cell &cell, int instance,
                         const fs::path &log_dir)
{
    const auto &filesystem = catalogue.filesystems.at(cell.filesystem);
    const auto &image = world.images.at({filesystem.needed_image(), cell.dataset});
    GuestConfig config;
    config.name = cell.instances == 1 ? cell.id : fmt::format("{} guest {}", cell.id, instance + 1);
    config.kernel = world.kernel;
    config.initramfs = world.initramfs;
    config.accel = world.accel.name;
    config.icount = counts_instructions(world, cell);
    config.memory_mib = static_cast<std::uint64_t>(cell.memory_mib);
    if (config.accel == "kvm")
        config.cpus = static_cast<unsigned>(cell.cpus);
    config.medium = filesystem.medium;
    if (filesystem.medium == "ram" && config.icount)
        // A disk's interrupts come when the host pleases; memory is read the same way each time.
        config.medium = "pmem";
    (config.medium == "ram" ? config.seed : config.image) = image.path;
    if (needs_tools(cell) && world.tools)
        config.tools = world.tools->path;
    config.log_dir = log_dir / fmt::format("guest{}", instance + 1);
    return config;
}

bool counts_instructions(const World &world, const Cell &cell)
{
    return cell.clock == ClockKind::instructions && world.accel.name == "tcg";
}

} // namespace daxbench
