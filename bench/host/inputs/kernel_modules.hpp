// SPDX-License-Identifier: Apache-2.0
// What a guest's kernel can load, and in which order: libkmod on the kernel's own modules folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct kmod_ctx;

namespace daxbench {

// Soft dependencies count as well, since a guest has no modprobe that the kernel could call. The host's
// /etc/modprobe.d does not: it is about the host's devices.
class KernelModules {
public:
    // The folder as depmod left it (lib/modules/RELEASE). Throws where there is no index.
    explicit KernelModules(const std::filesystem::path &modules_dir);

    bool has(const std::string &name) const; // as a module or built in
    // Files (relative to the modules folder) to load for these modules, dependencies first, each
    // once; built-in ones give nothing. Throws for a name the kernel does not have.
    std::vector<std::string> load_order(const std::vector<std::string> &names) const;

private:
    std::filesystem::path dir_;
    std::unique_ptr<kmod_ctx, kmod_ctx *(*)(kmod_ctx *)> kmod_;
};

std::string module_name(std::string_view path); // "kernel/fs/x/a-b.ko.xz" → "a_b"

} // namespace daxbench
