// SPDX-License-Identifier: Apache-2.0
// One virtual machine: QEMU, its QMP socket, the agent's channel, its console.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernel.hpp"
#include "process.hpp"
#include "protocol.hpp"

namespace daxbench {

// A call whose guest's kernel or QEMU has died.
struct GuestDied : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct GuestConfig {
    std::string name;                                  // for messages, e.g. the cell's id and the instance
    std::filesystem::path qemu = "qemu-system-x86_64"; // or one that was fetched (program.hpp)
    Kernel kernel;
    std::filesystem::path initramfs;
    std::string accel = "tcg"; // "tcg" | "kvm"
    bool icount = false;       // TCG only: 1 ns of guest time per instruction, of all CPUs
    unsigned cpus = 1;
    std::uint64_t memory_mib = 512;
    std::string medium = "none"; // one of media() (media.hpp)
    std::filesystem::path image; // behind the medium; size a multiple of 2 MiB
    bool direct = false;         // virtio-blk: read with O_DIRECT
    bool image_writable = false; // for tests that write it; a cached image is never the guest's
    std::filesystem::path seed;  // read-only disk with serial "seed", or empty
    std::filesystem::path tools; // erofs image of the measuring programs, or empty
    // The first requests, known before the guest starts: it finds them at boot and answers them one
    // after another, so that nothing from outside interrupts it and equal runs are equal.
    std::vector<Request> script;
    std::filesystem::path plugin;  // counts the guest's instructions into log_dir/profile; or empty. TCG only
    bool plugin_model = false;     // its model of caches and TLBs, too
    std::filesystem::path log_dir; // console.log and qemu.log are written here; is created
    std::string extra_cmdline;     // appended to the kernel's command line
    double patience = 1;           // a slow kernel: all deadlines times this
    bool keep = false;             // keep() may be called: QEMU does not die with the bench
};

// The script's file in a guest's run folder.
inline constexpr const char *script_file = "script";

// The plugin's file in a guest's log folder.
inline constexpr const char *profile_file = "profile";

// The command line `start` would use, for --dry-run and for results. `run_dir` is where the
// sockets are; it need not exist.
Argv qemu_command(const GuestConfig &config, const std::filesystem::path &run_dir);
std::string kernel_cmdline(const GuestConfig &config);

// Everything that goes wrong throws one line naming what was waited for, what came, and the log.
// A guest that dies, panics or misses a deadline is an error, never a hang. A guest belongs to the
// thread that started it and dies with that thread.
class Guest {
public:
    explicit Guest(GuestConfig config);
    ~Guest(); // ends QEMU
    Guest(Guest &&) noexcept;
    Guest &operator=(Guest &&) noexcept;

    void start();
    // The agent's hello object; {"seconds_to_hello": wall clock since start()} is added.
    nlohmann::json wait_hello(Seconds timeout);
    // Sends a request, unless it is the script's next, and returns its "value"; progress lines are
    // passed on. As long as the script is not over, only its requests can be made, in its order.
    nlohmann::json call(const std::string &op, const nlohmann::json &args, Seconds timeout,
                        const Progress &progress = {});
    // Asks the agent to power off, then QMP quit, then SIGKILL; QEMU has ended afterwards.
    void shutdown(Seconds timeout = Seconds(10));
    // --keep-guests: leaves QEMU running after this object (and after the bench when config.keep
    // is set); returns a line that tells how to reach it (pid, agent and QMP sockets, console).
    std::string keep();

    pid_t pid() const;
    const Argv &command() const;
    const std::filesystem::path &console_log() const;
    const std::filesystem::path &run_dir() const;
    // A QMP command, e.g. "query-status"; returns its "return".
    nlohmann::json qmp(const std::string &command, const nlohmann::json &arguments = nullptr,
                       Seconds timeout = Seconds(10));

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Last lines of a console log, control characters removed; for messages and tests.
std::vector<std::string> last_lines(const std::filesystem::path &log, std::size_t count);
// The line that says that the guest's kernel died ("Kernel panic - …", "BUG: …", "Oops: …"), or "".
std::string find_kernel_death(std::string_view console);

} // namespace daxbench
