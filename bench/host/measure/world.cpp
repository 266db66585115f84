// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <fmt/core.h>

#include "cache.hpp"
#include "environment.hpp"
#include "initramfs.hpp"
#include "kernel_modules.hpp"
#include "media.hpp"
#include "program.hpp"
#include "source_kernel.hpp"

#ifndef DAXFS_SOURCE_DIR
#error "DAXFS_SOURCE_DIR must be defined by the build"
#endif

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;

constexpr const char *debian_kernel = "6.12";
constexpr const char *cxl_qemu_key = "QEMU with CXL";
constexpr const char *tools_filesystem = "erofs";     // what the tools and seed disks are
constexpr const char *overlay_filesystem = "overlay"; // of containers' roots

string image_key(const string &image, const string &dataset)
{
    return image + "/" + dataset;
}

string tool_key(const string &image)
{
    return "tool of " + image;
}

string kernel_key(const string &kernel)
{
    return "kernel " + kernel;
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

/// The kernel's initramfs, with what all filesystems need of it.
GuestKernel make_guest_kernel(const Kernel &kernel, const Paths &paths, const Catalogue &catalogue)
{
    GuestKernel guest;
    guest.kernel = kernel;
    InitramfsSpec spec;
    spec.kernel = kernel;
    spec.agent = paths.build / "bench/guest/agent";
    spec.programs = {{"sbin/mount.daxfs", paths.build / "mount/mount.daxfs"}};
    const KernelModules known(kernel.modules_dir);
    // A kernel may lack what only some cells need: they fail, the others run.
    const auto add = [&](const string &module) {
        if (known.has(module))
            spec.modules[module] = {module};
        else
            guest.missing.emplace(
                module, fmt::format("expected the module {} in the guest's kernel {}, it has none of "
                                    "that name: use a kernel with it, or leave out what needs it",
                                    module, kernel.release));
    };
    add(tools_filesystem);
    add(overlay_filesystem);
    for (const auto &[id, filesystem] : catalogue.filesystems) {
        for (const auto &module : filesystem.modules)
            add(module);
        const auto &external = filesystem.external_module;
        if (external.empty())
            continue;
        const auto path = module_path(paths, kernel, external);
        if (fs::exists(path))
            spec.external_modules[external] = path;
        else
            guest.missing.emplace(
                external,
                fmt::format("expected the module {}, it is not there; ./run-bench builds it", path.string()));
    }
    guest.external_modules = spec.external_modules;
    guest.initramfs = ensure_initramfs(spec);
    return guest;
}

/// A guest in which nothing is mounted needs neither dataset nor image.
bool needs_data(const Catalogue &catalogue, const Cell &cell)
{
    return !needs_guest(cell) || catalogue.filesystems.at(cell.filesystem).mounts();
}

/// Two kernels of one release would share the folder of their modules.
void check_releases(const World &world)
{
    std::map<string, string> names;
    for (const auto &[name, guest] : world.kernels)
        if (const auto [other, added] = names.emplace(guest.kernel.release, name);
            !added && world.kernels.at(other->second).kernel.vmlinuz != guest.kernel.vmlinuz)
            throw std::runtime_error(fmt::format(
                "expected kernels of different releases, {} and {} are both {}: name one of them",
                other->second.empty() ? "the run's own" : other->second, name, guest.kernel.release));
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

Kernel kernel_named(const string &name, const KernelChoice &choice, const Paths &paths,
                    const Progress &progress)
{
    return name.empty() ? choose_kernel(choice, progress)
                        : named_kernel(name, kernel_configs(paths), progress);
}

std::set<string> kernel_names(const std::vector<Cell> &cells)
{
    std::set<string> names;
    for (const auto &cell : cells) {
        if (!needs_guest(cell))
            continue;
        if (cell.kernels.empty())
            names.insert("");
        names.insert(cell.kernels.begin(), cell.kernels.end());
    }
    return names;
}

string kernel_release(const World &world, const Cell &cell)
{
    if (!needs_guest(cell))
        return "";
    string text;
    for (const auto &name : cell.kernels.empty() ? std::vector<string>{""} : cell.kernels)
        if (const auto found = world.kernels.find(name); found != world.kernels.end())
            text += (text.empty() ? "" : " + ") + found->second.kernel.release;
    return text;
}

World make_base(const Paths &paths, const KernelChoice &choice, const string &accel,
                const Catalogue &catalogue, const std::vector<Cell> &cells, bool fresh_probe,
                const Progress &progress)
{
    World world;
    world.paths = paths;
    const auto add = [&](const string &name) {
        const auto kernel = kernel_named(name, choice, paths, progress);
        progress("making the guests' initramfs");
        world.kernels[name] = make_guest_kernel(kernel, paths, catalogue);
    };
    for (const auto &name : cells.empty() ? std::set<string>{""} : kernel_names(cells))
        if (name.empty())
            add(name);
        else
            note_missing(world, kernel_key(name), [&] { add(name); });
    if (world.kernels.empty())
        throw std::runtime_error(world.missing.begin()->second);
    check_releases(world);
    progress("booting a guest to see which accelerator works");
    const auto &first = world.kernels.begin()->second;
    world.accel = probe_accel(accel, first.kernel, first.initramfs, fresh_probe, progress);
    return world;
}

World make_native_base(const Paths &paths, const Catalogue &catalogue, const NativeOptions &options)
{
    World world;
    world.paths = paths;
    world.native = options;
    world.accel.name = "host";
    world.accel.reason = "this machine itself, asked for with --on host";
    auto &machine = world.kernels[""];
    machine.kernel.release = host_environment().kernel;
    for (const auto &[id, filesystem] : catalogue.filesystems) {
        const auto &module = filesystem.external_module;
        if (const auto file = module_path(paths, machine.kernel, module); !module.empty() && fs::exists(file))
            machine.external_modules[module] = file;
    }
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
    for (const auto &name : kernel_names(cells)) {
        auto &guest = world.kernels[name];
        attempt([&] { guest.kernel = kernel_named(name, choice, paths, progress); },
                [&] { guest.kernel.release = guest.kernel.vmlinuz = "KERNEL" + name; });
        attempt([&] { guest = make_guest_kernel(guest.kernel, paths, catalogue); },
                [&] { guest.initramfs = "INITRAMFS" + name; });
    }
    if (!world.kernels.empty()) {
        const auto &first = world.kernels.begin()->second;
        attempt([&] { world.accel = probe_accel(accel, first.kernel, first.initramfs, false, progress); },
                [&] {
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
        if (!needs_data(catalogue, cell))
            continue;
        const auto &id = catalogue.filesystems.at(cell.filesystem).needed_image();
        auto &image = world.images[{id, cell.dataset}];
        if (image.path.empty())
            image.path = in_capitals(id + "-of-" + cell.dataset);
        if (cell.tools)
            if (auto &tools = world.images[{cell.tools->image, cell.tools->dataset}]; tools.path.empty())
                tools.path = in_capitals(cell.tools->image + "-of-" + cell.tools->dataset);
        if (needs_tools(cell) && !world.tools)
            world.tools = ToolsImage{"TOOLS", {}};
    }
    return world;
}

namespace {

// Debian 12's 7.2 has no volatile CXL memory, and Linux from 6.3 on no driver for its events.
ProgramSpec qemu_with_cxl()
{
    return {.name = "qemu-system-x86_64",
            .at_least = "9.0",
            .package = "qemu-system-x86",
            .release = "trixie",
            .also = {}};
}

} // namespace

void add_needs(World &world, const Catalogue &catalogue, const std::vector<Cell> &cells,
               const Progress &progress)
{
    const Substitutions substitutions{{"build", world.paths.build.string()}};
    const auto need_dataset = [&](const string &id) {
        if (!world.datasets.contains(id) && !world.missing.contains(id))
            note_missing(world, id,
                         [&] { world.datasets[id] = ensure_dataset(catalogue.datasets.at(id), progress); });
    };
    const auto need_image = [&](const string &image, const string &dataset) {
        need_dataset(dataset);
        const auto key = image_key(image, dataset);
        const auto made = world.datasets.find(dataset);
        if (made == world.datasets.end() || world.images.contains({image, dataset}) ||
            world.missing.contains(key))
            return;
        note_missing(world, key, [&] {
            world.images[{image, dataset}] =
                ensure_image(catalogue.images.at(image), made->second, substitutions, progress);
        });
    };
    for (const auto &cell : cells) {
        if (!needs_data(catalogue, cell))
            continue;
        if (on_cxl(catalogue, cell) && world.cxl_qemu.empty() && !world.missing.contains(cxl_qemu_key))
            note_missing(world, cxl_qemu_key,
                         [&] { world.cxl_qemu = ensure_program(qemu_with_cxl(), progress); });
        need_dataset(cell.dataset);
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
        // There memory is filled from the dataset's folder, and without a device no image has a place.
        if (world.native &&
            (world.native->pmem.empty() || catalogue.filesystems.at(cell.filesystem).medium == "ram"))
            continue;
        need_image(catalogue.filesystems.at(cell.filesystem).needed_image(), cell.dataset);
        if (cell.tools)
            need_image(cell.tools->image, cell.tools->dataset);
        if (!cell.other_dataset.empty())
            need_image(catalogue.filesystems.at(cell.filesystem).needed_image(), cell.other_dataset);
    }
}

namespace {

/// The reason why one of the cell's kernels is not there, or lacks a module; or "".
string why_no_kernel(const World &world, const FilesystemSpec &filesystem, const Cell &cell)
{
    auto modules = filesystem.modules;
    modules.push_back(filesystem.external_module);
    if (needs_overlay(cell))
        modules.emplace_back(overlay_filesystem);
    for (const auto &name : kernel_names({cell})) {
        if (const auto found = world.missing.find(kernel_key(name)); found != world.missing.end())
            return found->second;
        for (const auto &module : modules)
            if (const auto &missing = world.kernels.at(name).missing; missing.contains(module))
                return missing.at(module);
    }
    return "";
}

} // namespace

string why_not(const World &world, const Catalogue &catalogue, const Cell &cell)
{
    std::vector<string> needs{cell.dataset};
    if (needs_guest(cell)) {
        const auto &filesystem = catalogue.filesystems.at(cell.filesystem);
        if (auto reason = why_no_kernel(world, filesystem, cell); !reason.empty())
            return reason;
        if (filesystem.mounts())
            needs.push_back(image_key(filesystem.needed_image(), cell.dataset));
        if (!cell.other_dataset.empty()) {
            needs.push_back(cell.other_dataset);
            needs.push_back(image_key(filesystem.needed_image(), cell.other_dataset));
        }
    } else {
        needs.push_back(tool_key(cell.filesystem));
    }
    if (needs_tools(cell))
        needs.emplace_back("tools");
    if (on_cxl(catalogue, cell))
        needs.emplace_back(cxl_qemu_key);
    if (cell.tools)
        needs.insert(needs.end(), {cell.tools->dataset, image_key(cell.tools->image, cell.tools->dataset)});
    for (const auto &need : needs)
        if (const auto found = world.missing.find(need); found != world.missing.end())
            return found->second;
    return "";
}

} // namespace daxbench
