// SPDX-License-Identifier: Apache-2.0
#include "kernel_modules.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <libkmod.h>

#include <fmt/format.h>

namespace daxbench {

namespace fs = std::filesystem;

namespace {

using ModulePtr = std::unique_ptr<kmod_module, kmod_module *(*)(kmod_module *)>;

// Takes the list over.
std::vector<ModulePtr> modules_of(kmod_list *list)
{
    std::vector<ModulePtr> modules;
    kmod_list *entry = nullptr;
    kmod_list_foreach(entry, list) modules.emplace_back(kmod_module_get_module(entry), kmod_module_unref);
    kmod_module_unref_list(list);
    return modules;
}

// Null where the kernel has none of that name; no path where it is built in.
ModulePtr find_module(kmod_ctx *kmod, const std::string &name)
{
    kmod_module *found = nullptr;
    if (kmod_module_new_from_name_lookup(kmod, name.c_str(), &found) < 0)
        found = nullptr;
    return {found, kmod_module_unref};
}

// A soft dependency may be an alias of several modules (crc32c: generic, SSE4.2): the generic one
// works on every processor.
std::vector<ModulePtr> soft_dependencies(const kmod_module *module)
{
    kmod_list *before = nullptr;
    kmod_list *after = nullptr;
    if (kmod_module_get_softdeps(module, &before, &after) < 0)
        return {};
    kmod_module_unref_list(after);
    auto modules = modules_of(before);
    std::set<std::string> names;
    for (const auto &soft : modules)
        names.insert(kmod_module_get_name(soft.get()));
    std::erase_if(modules, [&](const ModulePtr &soft) {
        const std::string name = kmod_module_get_name(soft.get());
        const auto generic = name.substr(0, name.rfind('_')) + "_generic";
        return name != generic && names.contains(generic);
    });
    return modules;
}

struct LoadOrder {
    fs::path dir;
    std::vector<std::string> files = {};
    std::set<std::string> seen = {};

    void visit(const kmod_module *module)
    {
        const char *path = kmod_module_get_path(module);
        if (!path || !seen.insert(path).second)
            return;
        for (const auto &soft : soft_dependencies(module))
            visit(soft.get());
        for (const auto &needed : modules_of(kmod_module_get_dependencies(module)))
            visit(needed.get());
        files.push_back(fs::path(path).lexically_relative(dir).string());
    }
};

} // namespace

KernelModules::KernelModules(const fs::path &modules_dir)
    : dir_(fs::absolute(modules_dir).lexically_normal()), kmod_(nullptr, kmod_unref)
{
    if (!fs::exists(dir_ / "modules.dep.bin"))
        throw std::runtime_error(fmt::format("expected {}, it is not there: run depmod -b BASE {}",
                                             (dir_ / "modules.dep.bin").string(), dir_.filename().string()));
    const char *const no_configuration[] = {nullptr};
    kmod_.reset(kmod_new(dir_.c_str(), no_configuration));
    if (!kmod_ || kmod_load_resources(kmod_.get()) < 0)
        throw std::runtime_error(fmt::format("expected what depmod writes in {}, libkmod cannot read it: run "
                                             "depmod -b BASE {} again",
                                             dir_.string(), dir_.filename().string()));
}

bool KernelModules::has(const std::string &name) const
{
    return find_module(kmod_.get(), name) != nullptr;
}

std::vector<std::string> KernelModules::load_order(const std::vector<std::string> &names) const
{
    LoadOrder order{dir_};
    for (const auto &name : names) {
        const auto module = find_module(kmod_.get(), name);
        if (!module)
            throw std::runtime_error(
                fmt::format("expected the kernel module {}, the guest's kernel has none of that name: use a "
                            "kernel with it, or leave out what needs it",
                            name));
        order.visit(module.get());
    }
    return order.files;
}

std::string module_name(std::string_view path)
{
    auto name = std::string(path.substr(path.rfind('/') + 1));
    name.erase(std::min(name.find(".ko"), name.size()));
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

} // namespace daxbench
