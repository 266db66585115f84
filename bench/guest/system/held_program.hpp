// SPDX-License-Identifier: Apache-2.0
// A program that is looked at when it is about to end, its memory still there. It is not traced: who is
// traced gets other mappings from some filesystems.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

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
    std::uint64_t first_stop_ns = 0; // the clock at the first call it was held at
    // ns from one call that it was held at to the next, this side's answers not counted: to its second brk(2)
    // (the program's own or its library's: it is linked), from there to the first write(2) to its standard
    // output by it or a child of it, and from there to its exit_group(2). 0 where there was no such call.
    double link_ns = 0;
    double output_ns = 0;
    double rest_ns = 0;
};

/// How a program is held.
struct HoldOptions {
    int clone_flags = 0;       // namespaces of its own, by flags of clone(2)
    bool first_output = false; // also at write(2) to its standard output
};

/// Runs BECOME in a child, which must end in execve(2) or _exit(2) and may use only what is allowed after
/// vfork(2). Calls LOOK once, with the program's id, when it calls exit_group(2), and lets it end then. By a
/// seccomp filter, whose notifications this side answers. Throws when that cannot be set up, what LOOK throws
/// (after the program has ended), and when the program ended in another way.
HeldProgram run_held(const std::function<void()> &become, const std::function<void(pid_t)> &look,
                     const HoldOptions &options = {});

} // namespace daxbench
