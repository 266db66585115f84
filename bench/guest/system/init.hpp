// SPDX-License-Identifier: Apache-2.0
// The agent as PID 1: makes the guest usable and finds the way to the host.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io.hpp"

namespace daxbench {

/// /etc/daxbench.json of the initramfs: module files in the order to load them.
struct GuestConfigFile {
    std::vector<std::string> base_modules;
    std::map<std::string, std::vector<std::string>> modules; // by the name "load" is asked for
};

GuestConfigFile read_guest_config(const std::string &path);

/// Mounts proc, sys, dev and tmp and opens the console as standard output.
void set_up_guest();

/// finit_module(2) of each file; one that is loaded already is fine. Throws naming the file.
/// On a machine of others: a mount namespace of its own, with an empty /mnt, of which nothing is left.
void set_up_host();

void load_module_files(const std::vector<std::string> &files);

/// The virtio-serial port with the agent's name, open; waits some seconds for it.
UniqueFd open_agent_port();

/// What the host put into fw_cfg as the script, or "".
std::string read_script();

/// Ends the guest at once.
[[noreturn]] void power_off();

} // namespace daxbench
