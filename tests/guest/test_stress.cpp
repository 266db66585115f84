// SPDX-License-Identifier: Apache-2.0
// Everything at once: processes that use mappings at random and verify what they read, stress-ng with
// its own program and files on the image, dropped caches, failing pages, and memory that goes at last.
#include <bit>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness.hpp"
#include "shared_libraries.hpp"
#include "stress_files.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::contains;

const fs::path stress_ng = "/usr/bin/stress-ng";

/// Stressors of stress-ng that walk page tables, move, pin or protect pages, or look at files.
constexpr const char *stressors =
    "mmap mmapfork mmapmany vm-splice splice sendfile tee userfaultfd fault madvise mprotect numa mremap "
    "munmap "
    "mincore mlock pagemove vm-rw vm-segv rmap tlb-shootdown fork vfork ptrace procfs getdent access "
    "dentry filename fstat fcntl inotify fanotify flock lease readahead copy-file open dup handle";

class Stress : public daxtest::GuestTest {
protected:
    void SetUp() override
    {
        const auto tree = dir_.path() / "tree";
        fs::create_directories(tree / "stress");
        for (unsigned file = 0; file < stress::files; ++file) {
            std::string bytes(stress::size_of(file), '\0');
            for (std::size_t at = 0; at < bytes.size(); ++at)
                bytes[at] = stress::byte_of(file, at);
            std::ofstream(tree / stress::name_of(file)) << bytes;
        }
        if (fs::exists(stress_ng))
            add_programs(tree);
        daxtest::make_image(tree, image_);
    }

    /// stress-ng with its libraries, and where it finds what a root has.
    static void add_programs(const fs::path &tree)
    {
        for (const char *dir : {"proc", "sys", "dev", "tmp", "bin"})
            fs::create_directories(tree / dir);
        const auto add = [&tree](const fs::path &file) {
            fs::create_directories(tree / file.relative_path().parent_path());
            fs::copy_file(file, tree / file.relative_path(), fs::copy_options::skip_existing);
        };
        add("/bin/busybox");
        add(stress_ng);
        for (const auto &library : daxbench::library_closure(stress_ng))
            add(library);
    }

    /// region-probe's processes, for so long; `environment`: what happens to the memory meanwhile.
    void stress(int seconds, const std::string &environment)
    {
        const auto script =
            fmt::format("SECONDS={} PROCESSES=3 {} /bin/region-probe --gtest_filter=Region.IsUnderStress",
                        seconds, environment);
        const auto limit = seconds + 120 * daxtest::bench().patience;
        const auto ran = guest_->call(
            "exec",
            {{"argv", {"/bin/busybox", "sh", "-c", daxbench::percent_encode(script)}}, {"timeout_s", limit}},
            Seconds(limit + 30));
        daxtest::progress(daxtest::decoded(ran.at("stderr")));
        EXPECT_EQ(ran.at("status"), 0)
            << daxtest::decoded(ran.at("stdout")) << daxtest::decoded(ran.at("stderr"));
    }

    void boot_and_mount(std::uint64_t memory_mib)
    {
        daxtest::BootOptions options;
        options.cpus = 2;
        options.memory_mib = memory_mib;
        options.modules = {"daxfs", "overlay", "hwpoison_inject"};
        guest_.emplace(daxtest::boot(image_, dir_.path() / "logs", options));
        daxtest::mount(*guest_);
        sh("echo 1 > /sys/kernel/mm/ksm/run");
    }

    void start_stress_ng();
    void end_stress_ng();
};

/// What it writes lies above the image, what it runs is mapped from it.
void Stress::start_stress_ng()
{
    const auto root =
        sh("mkdir -p /up /merged && mount -t tmpfs none /up && mkdir /up/u /up/w && "
           "mount -t overlay -o lowerdir=/mnt/x,upperdir=/up/u,workdir=/up/w overlay /merged && "
           "for d in proc sys dev; do mount --bind /$d /merged/$d || exit 1; done");
    ASSERT_EQ(root.status, 0) << root.err;
    std::string arguments;
    std::istringstream words(stressors);
    for (std::string name; words >> name;)
        arguments += fmt::format(" --{} 1", name);
    const auto started = sh(fmt::format("chroot /merged {} --temp-path /tmp --vm-bytes 8M --mmap-bytes 8M "
                                        "--oomable -t 2h {} > /tmp/stress-ng.log 2>&1 "
                                        "& echo $! > /tmp/stress-ng.pid",
                                        stress_ng.string(), arguments));
    ASSERT_EQ(started.status, 0) << started.err;
}

/// After the memory of its own program has gone.
void Stress::end_stress_ng()
{
    sh("kill $(cat /tmp/stress-ng.pid); for i in $(seq 60); do killall -9 stress-ng || break; sleep 1; done");
    const auto log = sh("cat /tmp/stress-ng.log").out;
    EXPECT_TRUE(contains(log, "dispatching hogs")) << log;
    for (const char *wrong : {"unrecognized option", "No such file"})
        EXPECT_FALSE(contains(log, wrong)) << log;
    EXPECT_EQ(sh("for d in proc sys dev; do umount /merged/$d; done; umount /merged").status, 0);
}

TEST_F(Stress, PagesThatFailAndMemoryThatGoes)
{
    boot_and_mount(512);
    stress(15, "FAIL=1 TAKE_AWAY=driver");
    unmount();
    finish();
}

// Ten minutes, on the kernels with checkers.
TEST_F(Stress, NextToStressNg)
{
    if (!fs::exists(stress_ng))
        GTEST_SKIP() << "needs the package stress-ng";
    const char *seconds = std::getenv("DAXFS_STRESS_SECONDS");
    if (!seconds)
        GTEST_SKIP() << "takes DAXFS_STRESS_SECONDS, which only ./run-tests --debug-kernel sets";
    boot_and_mount(1536);
    start_stress_ng();
    stress(std::stoi(seconds), "FAIL=1 TAKE_AWAY=driver");
    end_stress_ng();
    unmount();
    finish();
}

TEST_F(Stress, APhysicalRange)
{
    fs::resize_file(image_, std::bit_ceil(fs::file_size(image_))); // as its device wants it
    daxtest::BootOptions options;
    options.cpus = 2;
    options.medium = "ivshmem";
    options.modules = {"daxfs", "hwpoison_inject"};
    guest_.emplace(daxtest::boot(image_, dir_.path() / "logs", options));
    const auto mounted = mount(
        fmt::format("phys={:#x},size={}", daxtest::shared_memory_start(*guest_), fs::file_size(image_)));
    ASSERT_EQ(mounted.status, 0) << mounted.err;
    stress(15, "FAIL=1");
    unmount();
    finish();
}

TEST_F(Stress, MemoryWithoutPages)
{
    daxtest::BootOptions options;
    options.cpus = 2;
    options.modules = {"daxfs", "vgem"};
    guest_.emplace(daxtest::boot(image_, dir_.path() / "logs", options));
    ASSERT_EQ(sh("dd if=/dev/pmem0 of=/tmp/image bs=1M").status, 0);
    const auto mounted = mount("ro,dmabuf-drm=/dev/dri/card0,image=/tmp/image");
    ASSERT_EQ(mounted.status, 0) << mounted.err;
    stress(15, "");
    unmount();
    finish();
}

} // namespace
