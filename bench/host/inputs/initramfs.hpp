// SPDX-License-Identifier: Apache-2.0
// The guest's initramfs: agent, its libraries, busybox, kernel modules, /etc/daxbench.json.
#pragma once

#include <filesystem>
#include <map>
#include <string>
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

} // namespace daxbench
