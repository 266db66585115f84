// SPDX-License-Identifier: Apache-2.0
// Running programs inside the guest, with a deadline.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "protocol.hpp"

namespace daxbench {

struct ProcessSpec {
    std::vector<std::string> argv;
    std::vector<std::string> env; // NAME=VALUE; nothing is inherited
    std::string chroot;           // "": none
    std::string stdin_text;
    double timeout_s = 60;
    bool uninterrupted = false; // with real-time priority, as in system.hpp
};

struct ProcessResult {
    int status = 0; // exit status; 128 + signal when ended by one
    int signal = 0;
    bool timed_out = false; // was then killed
    std::string out;
    std::string err;
};

/// Runs it to its end; throws when it cannot be started.
ProcessResult run_process(const ProcessSpec &spec);

/// As vfork(2), in namespaces by FLAGS of clone(2): BODY runs in the child, on this process's memory, while
/// this thread waits until it has become a program or ended. TID, unless null, has the child's id before it
/// runs. Returns the id, or -1 with errno.
pid_t vfork_into(int flags, const std::function<void()> &body, pid_t *tid = nullptr);

/// A null-terminated array into STRINGS, which must outlive it.
std::vector<char *> c_array(const std::vector<std::string> &strings);

/// Ends children that nobody waits for; PID 1 inherits them.
void reap_orphans();

/// PATH, HOME, LC_ALL for programs that are given no environment.
std::vector<std::string> default_env();

/// WORKLOAD's "env", or those.
std::vector<std::string> program_environment(const json &workload);

} // namespace daxbench
