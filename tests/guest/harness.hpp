// SPDX-License-Identifier: Apache-2.0
// What the guest tests share: the kernel and initramfs of the bench, images made on the spot, and
// a guest with the module loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cache.hpp"
#include "guest.hpp"
#include "initramfs.hpp"
#include "kernel.hpp"
#include "memory_tree.hpp"
#include "process.hpp"

namespace daxtest {

using nlohmann::json;

/// Kernel, initramfs and build folder, made ready once per test program. DAXFS_TEST_KERNEL names
/// another kernel than the bench's, e.g. 6.1, or 7.3-debug, which is built from source with checkers.
struct Bench {
    std::filesystem::path source;
    std::filesystem::path build;
    daxbench::Kernel kernel;
    std::filesystem::path initramfs;
    std::filesystem::path module;
    double patience = 1; ///< how many times slower than Debian's this kernel may be
};
const Bench &bench();

/// mkdaxfs of the build over `tree`, padded to whole 2 MiB as virtio-pmem wants it.
void make_image(const std::filesystem::path &tree, const std::filesystem::path &image);

struct BootOptions {
    std::string medium = "pmem";
    bool icount = false;
    std::uint64_t memory_mib = 512;
    unsigned cpus = 1;
    std::string cmdline;
    std::filesystem::path tools; ///< read-only disk with the serial "tools"
    std::vector<std::string> modules = {"daxfs"};
};

/// A booted guest with the modules loaded; its logs lie in `dir`.
daxbench::Guest boot(const std::filesystem::path &image, const std::filesystem::path &dir,
                     const BootOptions &options = {});

/// Calls of the agent that every test needs.
json mount(daxbench::Guest &guest, const std::string &options = "ro");
/// Runs a program in the guest; `root` empty: in the initramfs.
json run(daxbench::Guest &guest, const std::vector<std::string> &argv, const std::string &root = "");
/// The same, in plain bytes instead of percent-coded ones.
struct Ran {
    int status = 0;
    std::string out;
    std::string err;
};
Ran run_plain(daxbench::Guest &guest, const std::vector<std::string> &argv);
/// Of what the agent sends percent-coded.
std::string decoded(const json &text);
inline bool contains(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}
/// Physical address of the shared memory device's memory in a guest with the medium "ivshmem".
std::uint64_t shared_memory_start(daxbench::Guest &guest);
/// Fails the test when the guest's kernel printed a warning or worse.
void expect_clean_log(daxbench::Guest &guest);

inline constexpr const char *target = "/mnt/x";

/// What takes long because it is not in the cache yet.
void progress(const std::string &line);

/// A test with a guest of its own, in which mount(8) and shell commands are run. SetUp() makes the
/// image, and tools_ where there is something to mount at /tools.
class GuestTest : public testing::Test {
protected:
    void boot(const std::string &medium, std::vector<std::string> modules, const std::string &cmdline = "");
    Ran run(const std::vector<std::string> &argv) { return run_plain(*guest_, argv); }
    Ran sh(const std::string &script) { return run({"/bin/busybox", "sh", "-c", script}); }
    /// util-linux's mount, which calls mount.daxfs.
    Ran mount(const std::string &options, const std::string &source = "none",
              const std::string &where = target);
    void unmount(const std::string &where = target);
    json manifest(const std::string &mode, const std::string &where = target);
    /// That `what` was refused, with this status and, as the user reads it, one line that says why.
    static void expect_refusal(const Ran &ran, const std::string &what, const std::string &why, int status);
    /// The kernel's log is clean, and the guest ends.
    void finish();

    /// A failed test keeps its logs, and says where.
    void TearDown() override;

    daxbench::TempDir dir_;
    std::filesystem::path image_ = dir_.path() / "image";
    std::filesystem::path tools_;
    bool icount_ = false; ///< the guest's nanoseconds are instructions
    std::optional<daxbench::Guest> guest_;
};

} // namespace daxtest
