// SPDX-License-Identifier: Apache-2.0
// The guest's initramfs: agent, its libraries, busybox, kernel modules, /etc/daxbench.json.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernel.hpp"

namespace daxbench {

struct InitramfsSpec {
    Kernel kernel;
    std::filesystem::path agent; // becomes /init
    // Name the agent's `load` is asked for → module names of the kernel. Usually
    // {"erofs": {"erofs"}}; names that are built into the kernel give an empty list.
    std::map<std::string, std::vector<std::string>> modules;
    // Name → .ko file from outside the kernel, e.g. {"daxfs", build/kmod/RELEASE/daxfs.ko}. What
    // it depends on (modinfo) comes from the kernel's modules.
    std::map<std::string, std::filesystem::path> external_modules;
    // Path in the guest without a leading slash → program of the host, which comes with its
    // shared libraries.
    std::map<std::string, std::filesystem::path> programs;
};

// Makes (or finds in the cache, keyed by all that goes in) the newc archive.
std::filesystem::path ensure_initramfs(const InitramfsSpec &spec);

// ---- parsers, public for the tests ----

// What depmod wrote about a kernel's modules. Names are without folder and suffix, '-' as '_'.
// Soft dependencies count as well, since a guest has no modprobe that the kernel could call.
class ModuleIndex {
public:
    static ModuleIndex parse(std::string_view modules_dep, std::string_view modules_builtin,
                             std::string_view modules_softdep = {}, std::string_view modules_alias = {});
    static ModuleIndex load(const std::filesystem::path &modules_dir);

    bool builtin(std::string_view name) const;
    bool has(std::string_view name) const; // as a module or built in
    // Files (relative to the modules folder) to load for these modules, dependencies first, each
    // once; built-in ones give nothing. Throws for a name the kernel does not have.
    std::vector<std::string> load_order(const std::vector<std::string> &names) const;

private:
    std::string resolve_soft(const std::string &name) const;

    std::map<std::string, std::string> file_;
    std::map<std::string, std::vector<std::string>> needs_; // nearest dependency first
    std::map<std::string, std::vector<std::string>> soft_;
    std::multimap<std::string, std::string> alias_;
    std::set<std::string> builtin_;
};

std::string module_name(std::string_view path); // "kernel/fs/x/a-b.ko.xz" → "a_b"

} // namespace daxbench
