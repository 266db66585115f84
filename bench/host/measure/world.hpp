// SPDX-License-Identifier: Apache-2.0
// What cells need before they can run: kernel, initramfs, accelerator, datasets, images, tools.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "accel.hpp"
#include "dataset.hpp"
#include "guest.hpp"
#include "image.hpp"
#include "kernel.hpp"
#include "plan.hpp"
#include "spec.hpp"

namespace daxbench {

/// Where the program's own things lie.
struct Paths {
    std::filesystem::path source; ///< the repository
    std::filesystem::path build;  ///< Meson's build folder
};

/// Source folder as built from; build folder from where the running program lies.
Paths own_paths();

struct KernelChoice {
    std::filesystem::path vmlinuz; ///< empty: Debian's
    std::filesystem::path modules;
    std::filesystem::path headers;
    std::string series; ///< of a kernel from source, e.g. "7.3"; empty: none
};

/// Where the configurations of kernels from source are.
std::filesystem::path kernel_configs(const Paths &paths);

/// Debian's guest kernel, one from Debian's source, or the user's.
Kernel choose_kernel(const KernelChoice &choice, const Progress &progress);

/// Path where Meson puts an external module for a kernel.
std::filesystem::path module_path(const Paths &paths, const Kernel &kernel, const std::string &module);

/// A kernel that is ready to be booted: an initramfs for it, the modules of this tree built against it.
struct GuestKernel {
    Kernel kernel;
    std::filesystem::path initramfs;
    std::map<std::string, std::filesystem::path> external_modules;
    std::map<std::string, std::string> missing; ///< why a module is not there, by its name; one line
};

/// What --on host may do to this machine.
struct NativeOptions {
    std::filesystem::path pmem; ///< a device that images are written to; "": none
    bool load_modules = false;  ///< load, and afterwards unload, modules that filesystems need
    bool drop_caches = false;   ///< of the whole machine, for cold figures
};

struct World {
    Paths paths;
    std::optional<NativeOptions> native; ///< cells run on this machine, not in guests
    /// By the name that cells know it by, such as "6.1"; "" is the run's own. Of those in use only.
    std::map<std::string, GuestKernel> kernels;
    Accel accel;
    std::map<std::string, Dataset> datasets;
    std::map<std::pair<std::string, std::string>, Image> images; ///< by image id, dataset id
    std::map<std::string, ImageTool> image_tools; ///< of the cells that measure them, by image id
    std::optional<ToolsImage> tools;
    std::filesystem::path cxl_qemu; ///< the QEMU of guests with CXL memory; empty where none needs one
    /// Why something is not there: dataset id, "IMAGE/DATASET", "tool of IMAGE", "kernel NAME" or "tools"
    /// → one line.
    std::map<std::string, std::string> missing;
};

/// The kernels that the guests of these cells boot, by name; "" for the run's own.
std::set<std::string> kernel_names(const std::vector<Cell> &cells);

/// Kernels and initramfs of the cells, and a guest known to boot. Throws where nothing can be measured; a
/// named kernel that cannot be had is noted in `missing`. Without cells: the run's own kernel.
World make_base(const Paths &paths, const KernelChoice &choice, const std::string &accel,
                const Catalogue &catalogue, const std::vector<Cell> &cells, bool fresh_probe,
                const Progress &progress);

/// A kernel by its name; "" gives the run's own, as chosen.
Kernel kernel_named(const std::string &name, const KernelChoice &choice, const Paths &paths,
                    const Progress &progress);

/// The release (uname -r) of the cell's kernel; with several, joined by " + ".
std::string kernel_release(const World &world, const Cell &cell);

/// For --on host: this machine's kernel, and the module of this tree where it was built for that.
World make_native_base(const Paths &paths, const Catalogue &catalogue, const NativeOptions &options);

/// For runs without a guest.
World make_host_base(const Paths &paths);

/// What a run would find here, for --dry-run: makes and fetches nothing. What is not there yet has a
/// name in capitals where its path would be.
World foresee(const Paths &paths, const KernelChoice &choice, const std::string &accel,
              const Catalogue &catalogue, const std::vector<Cell> &cells, const Progress &progress);

/// Adds what the cells need. What cannot be made is noted in `missing`; the cells that need it
/// then fail by name, the others run.
void add_needs(World &world, const Catalogue &catalogue, const std::vector<Cell> &cells,
               const Progress &progress);

/// The reason why a cell cannot run in this world, or "".
std::string why_not(const World &world, const Catalogue &catalogue, const Cell &cell);

bool needs_guest(const Cell &cell);
/// Whether its guests have their image in CXL memory.
bool on_cxl(const Catalogue &catalogue, const Cell &cell);
bool needs_tools(const Cell &cell);
/// Whether it mounts OverlayFS itself.
bool needs_overlay(const Cell &cell);

/// Why the host cannot read the image with O_DIRECT, or "".
std::string why_not_direct(const std::filesystem::path &image);

/// Why a kernel of this release has no such filesystem, or "".
std::string too_old(const std::string &release, const FilesystemSpec &filesystem);

/// Configuration of one of a cell's guests. `log_dir` is the cell's own.
GuestConfig guest_config(const World &world, const Catalogue &catalogue, const Cell &cell, int instance,
                         const std::filesystem::path &log_dir);

/// Whether the cell's guests run on a clock that counts instructions.
bool counts_instructions(const World &world, const Cell &cell);

} // namespace daxbench
