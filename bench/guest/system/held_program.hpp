// SPDX-License-Identifier: Apache-2.0
// A program that is looked at when it is about to end, its memory still there. It is not traced: who is
// traced gets other mappings from some filesystems.
#pragma once

#include <functional>

#include <sys/resource.h>
#include <sys/types.h>

namespace daxbench {

struct HeldProgram {
    int status = 0; // as from waitpid(2)
    rusage usage{}; // of the program, from its start to its end
    // ns of its life in three parts, this side's answers not counted: until its first brk(2) (the loader's:
    // fork and execve are done), until its exit_group(2), and until it can be waited for.
    double start_ns = 0;
    double run_ns = 0;
    double end_ns = 0;
};

/// Runs BECOME in a child, which must end in execve(2) or _exit(2) and may use only what is allowed after
/// vfork(2). Calls LOOK once, with the program's id, when it calls exit_group(2), and lets it end then. By a
/// seccomp filter, whose notifications this side answers. Throws when that cannot be set up, what LOOK throws
/// (after the program has ended), and when the program ended in another way.
HeldProgram run_held(const std::function<void()> &become, const std::function<void(pid_t)> &look);

} // namespace daxbench
