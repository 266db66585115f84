// SPDX-License-Identifier: Apache-2.0
// What a result was measured on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace daxbench {

struct HostEnvironment {
    std::string os;     // PRETTY_NAME of os-release
    std::string cpu;    // model name
    unsigned cores = 0; // usable by this process
    std::uint64_t memory_bytes = 0;
    std::uint64_t memory_available_bytes = 0;
    std::string kernel;       // uname -r
    std::string qemu_version; // "7.2.22 (Debian 1:7.2+dfsg-7+…)", "" when there is no QEMU
    std::string boot_id;
};
HostEnvironment host_environment();

struct GitState {
    std::string commit; // "" outside a repository
    bool dirty = false;
};
GitState git_state(const std::filesystem::path &source_dir);

std::uint64_t free_disk_bytes(const std::filesystem::path &path); // nearest existing parent
// First line of the output of a version command, "" when it cannot be run.
std::string tool_version(const std::vector<std::string> &argv);

// Value of KEY in /etc/os-release text, unquoted; "" when it is not there.
std::string os_release_value(std::string_view text, std::string_view key);

} // namespace daxbench
