// SPDX-License-Identifier: Apache-2.0
// Running other programs: every child is in its own process group and dies with the bench.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "files.hpp"
#include "interrupt.hpp"

namespace daxbench {

using Argv = std::vector<std::string>;
using Seconds = std::chrono::duration<double>;
using Deadline = std::chrono::steady_clock::time_point;

// One line for the user about what takes time now ("fetching linux-image-…").
using Progress = std::function<void(const std::string &line)>;

struct CommandOptions {
    // Default values, so that callers can name only the members they set.
    std::map<std::string, std::string> env = {}; // added to (and winning over) the bench's own
    std::filesystem::path cwd = {};              // empty: the bench's own
    std::string stdin_text = {};                 // empty: /dev/null
    Seconds timeout{0};                          // 0: none
    std::filesystem::path log = {};              // command line, stdout and stderr are appended here
};

struct CommandResult {
    int status = -1; // exit status; -1 when a signal ended it
    int signal = 0;  // that signal, or 0
    bool timed_out = false;
    std::string out;
    std::string err;
    double seconds = 0; // wall clock

    bool ok() const { return status == 0 && !timed_out; }
};

// Runs a program to its end. Throws when it cannot be started, and Interrupted on Ctrl-C (after
// ending the program's whole process group); a failing program is reported in the result.
// No shell is involved; argv[0] is looked up in PATH and then in /usr/sbin and /sbin.
CommandResult run_command(const Argv &argv, const CommandOptions &options = {});

// The same, but a failure throws one line with the program, what it said last, and the log.
CommandResult run_checked(const Argv &argv, const CommandOptions &options = {});

std::optional<std::filesystem::path> find_program(std::string_view name);
std::string quoted(const Argv &argv); // for people: can be pasted into a shell
bool running_as_root();

// A running program. Destruction ends its process group (SIGKILL) and reaps it.
// Trap: the kernel delivers the parent-death signal when the starting *thread* ends, so the thread
// that starts a child must outlive it.
class Child {
public:
    struct Streams {
        int in = -1; // descriptors for the child's 0, 1, 2; -1: /dev/null. Not taken over.
        int out = -1;
        int err = -1;
        std::vector<int> keep = {}; // further descriptors that stay open in the child, same numbers
    };

    Child() = default;
    static Child start(const Argv &argv, const Streams &streams, const CommandOptions &options = {},
                       bool outlive_parent = false);
    Child(Child &&other) noexcept;
    Child &operator=(Child &&other) noexcept;
    ~Child();

    pid_t pid() const { return pid_; }
    bool running();                             // reaps when it has ended
    int wait_status() const { return status_; } // as from waitpid(2); valid when not running
    bool wait(Deadline deadline);               // true: ended
    void kill();                                // SIGKILL to the process group, then reap
    void detach();                              // leave it running (--keep-guests)

private:
    pid_t pid_ = -1;
    int status_ = 0;
    bool ended_ = true;
};

std::string describe_wait_status(int status); // "exit status 1", "killed by signal 9 (Killed)"

} // namespace daxbench
