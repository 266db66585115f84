// SPDX-License-Identifier: Apache-2.0
#include "inputs.hpp"

#include <map>
#include <mutex>

#include <fmt/core.h>

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;

/// Of a file of this run, which does not change while it runs.
string hash_of(const fs::path &file)
{
    static std::mutex mutex;
    static std::map<fs::path, string> known;
    const std::lock_guard lock(mutex);
    auto &hash = known[file];
    if (hash.empty() && fs::exists(file))
        hash = sha256_file(file);
    return hash;
}

void add_kernel(json &inputs, const World &world, const FilesystemSpec &filesystem, const string &name)
{
    const auto found = world.kernels.find(name);
    if (found == world.kernels.end())
        return;
    const auto &guest = found->second;
    const string suffix = name.empty() ? "" : " " + name;
    inputs["kernel" + suffix] = guest.kernel.release;
    if (!guest.kernel.config.empty())
        inputs["kernel configuration" + suffix] = hash_of(guest.kernel.config);
    if (const auto &module = filesystem.external_module; guest.external_modules.contains(module))
        inputs["module " + module + suffix] = hash_of(guest.external_modules.at(module));
}

void add_image(json &inputs, const World &world, const string &id, const string &dataset)
{
    if (const auto image = world.images.find({id, dataset}); image != world.images.end())
        inputs["image " + id + "/" + dataset] = image->second.xxh3;
}

} // namespace

json inputs_of(const World &world, const Catalogue &catalogue, const Cell &cell, const GitState &git,
               const HostEnvironment &host)
{
    json inputs = {{"accelerator", world.accel.name}, {"commit", git.commit}};
    inputs["uncommitted changes"] = git.dirty ? "yes" : "no";
    if (const auto dataset = world.datasets.find(cell.dataset); dataset != world.datasets.end())
        inputs["dataset " + cell.dataset] = dataset->second.hash;
    if (world.accel.name != "tcg") // counted instructions do not know the machine
        inputs["CPU"] = host.cpu;
    if (!needs_guest(cell)) {
        if (const auto tool = world.image_tools.find(cell.filesystem); tool != world.image_tools.end())
            inputs["tool of " + cell.filesystem] = tool->second.version;
        return inputs;
    }
    inputs["QEMU"] = host.qemu_version;
    inputs["agent"] = hash_of(world.paths.build / "bench/guest/agent");
    const auto &filesystem = catalogue.filesystems.at(cell.filesystem);
    add_image(inputs, world, filesystem.needed_image(), cell.dataset);
    for (const auto &name : kernel_names({cell}))
        add_kernel(inputs, world, filesystem, name);
    return inputs;
}

string difference(const json &one, const json &other)
{
    for (const auto &[name, value] : one.items())
        if (other.contains(name) && other[name] != value)
            return fmt::format("{}: {} and {}", name, value.get<string>(), other[name].get<string>());
    return "";
}

} // namespace daxbench
