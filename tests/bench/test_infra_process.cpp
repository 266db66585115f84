// SPDX-License-Identifier: Apache-2.0
// Programs, the cache, and the command line of QEMU.
#include <algorithm>
#include <fstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cache.hpp"
#include "files.hpp"
#include "guest.hpp"
#include "process.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// Else PSS would tell who has read the image before.
TEST(PageCache, HoldsWhatWasReadIntoIt)
{
    const TempDir dir;
    const auto path = dir.path() / "image";
    constexpr std::size_t size = 8 << 20;
    constexpr off_t hole_from = off_t{1} << 40; // reading a hole would take hours and all memory
    write_file(path, std::string(size, 'x'));
    fs::resize_file(path, hole_from + 4096);
    const Fd fd = open_or_throw(path, O_RDWR);
    ASSERT_EQ(::pwrite(fd.get(), "end", 3, hole_from), 3);
    ASSERT_EQ(::fsync(fd.get()), 0);
    ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);

    read_into_page_cache(path);

    void *const map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    ASSERT_NE(map, MAP_FAILED);
    std::vector<unsigned char> resident(size / 4096);
    ASSERT_EQ(::mincore(map, size, resident.data()), 0);
    EXPECT_EQ(std::count_if(resident.begin(), resident.end(), [](auto page) { return page & 1; }),
              static_cast<long>(size / 4096));
    ::munmap(map, size);
    EXPECT_THROW(read_into_page_cache(dir.path() / "none"), std::runtime_error);
}

TEST(RunCommand, GivesStatusOutputAndErrors)
{
    const auto result =
        run_command({"sh", "-c", "cat; echo oops >&2; exit 3"}, {.env = {{"X", "1"}}, .stdin_text = "hello"});
    EXPECT_EQ(result.status, 3);
    EXPECT_EQ(result.out, "hello");
    EXPECT_EQ(result.err, "oops\n");
    EXPECT_FALSE(result.ok());
}

TEST(RunCommand, EnvironmentWinsOverTheOwn)
{
    setenv("DAXBENCH_TEST", "own", 1);
    EXPECT_EQ(run_command({"sh", "-c", "echo $DAXBENCH_TEST"}, {.env = {{"DAXBENCH_TEST", "a b"}}}).out,
              "a b\n");
    unsetenv("DAXBENCH_TEST");
}

TEST(RunCommand, LargeOutputDoesNotBlock)
{
    EXPECT_EQ(run_command({"sh", "-c", "head -c 3000000 /dev/zero"}).out.size(), 3000000u);
}

TEST(RunCommand, ADeadlineEndsTheWholeProcessGroup)
{
    const auto result = run_command({"sh", "-c", "sleep 77 & echo $!; sleep 77"}, {.timeout = Seconds(0.3)});
    EXPECT_TRUE(result.timed_out);
    EXPECT_LT(result.seconds, 5);
    const auto grandchild = static_cast<pid_t>(std::stol(result.out));
    // Killed, though its new parent may not have reaped it yet.
    for (int i = 0; i < 200 && kill(grandchild, 0) == 0; ++i) {
        std::ifstream stat("/proc/" + std::to_string(grandchild) + "/stat");
        std::string text((std::istreambuf_iterator<char>(stat)), {});
        if (text.find(") Z") != std::string::npos)
            return;
        std::this_thread::sleep_for(milliseconds(10));
    }
    EXPECT_NE(kill(grandchild, 0), 0);
}

TEST(RunCommand, AMissingProgramIsNamed)
{
    try {
        run_command({"no-such-program-here"});
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        EXPECT_NE(std::string(error.what()).find("no-such-program-here"), std::string::npos);
    }
}

TEST(RunCommand, AFailureIsOneLineWithWhatWasSaid)
{
    try {
        run_checked({"sh", "-c", "echo first >&2; echo the reason >&2; exit 7"});
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        const std::string line = error.what();
        EXPECT_NE(line.find("exit status 7: the reason"), std::string::npos) << line;
        EXPECT_EQ(line.find('\n'), std::string::npos);
    }
}

TEST(Child, DiesWithItsObject)
{
    pid_t pid = 0;
    {
        auto child = Child::start({"sleep", "77"}, {});
        pid = child.pid();
        EXPECT_TRUE(child.running());
        EXPECT_FALSE(child.wait(std::chrono::steady_clock::now() + milliseconds(20)));
    }
    EXPECT_NE(kill(pid, 0), 0);
}

TEST(Quoted, CanBePasted)
{
    const Argv argv{"a", "b c", "it's", "", "x=1,y"};
    EXPECT_EQ(quoted(argv), "a 'b c' 'it'\\''s' '' x=1,y");
}

class CacheTest : public testing::Test {
protected:
    void SetUp() override { setenv("XDG_CACHE_HOME", dir_.path().c_str(), 1); }
    void TearDown() override { unsetenv("XDG_CACHE_HOME"); }
    TempDir dir_;
};

TEST_F(CacheTest, MakesAnEntryOnce)
{
    int made = 0;
    const auto make = [&](const fs::path &dir) {
        ++made;
        write_file(dir / "x", "content");
    };
    EXPECT_EQ(Cache::entry("kind", "key", make), Cache::entry("kind", "key", make));
    EXPECT_EQ(made, 1);
    EXPECT_EQ(read_file(Cache::path("kind", "key") / "x"), "content");
}

TEST_F(CacheTest, AFailedEntryLeavesNothing)
{
    EXPECT_THROW(Cache::entry("kind", "key",
                              [](const fs::path &dir) {
                                  write_file(dir / "x", "half");
                                  throw std::runtime_error("no");
                              }),
                 std::runtime_error);
    EXPECT_FALSE(Cache::has("kind", "key"));
    EXPECT_FALSE(fs::exists(Cache::path("kind", ".new-key")));
}

TEST_F(CacheTest, ThreadsShareOneEntry)
{
    std::atomic<int> made{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            Cache::entry("kind", "shared", [&](const fs::path &) {
                ++made;
                std::this_thread::sleep_for(milliseconds(30));
            });
        });
    for (auto &thread : threads)
        thread.join();
    EXPECT_EQ(made, 1);
}

TEST_F(CacheTest, RemovesFoldersWithoutPermissions)
{
    fs::create_directories(dir_.path() / "a/b");
    fs::permissions(dir_.path() / "a/b", fs::perms::none);
    fs::permissions(dir_.path() / "a", fs::perms::none);
    remove_tree(dir_.path() / "a");
    EXPECT_FALSE(fs::exists(dir_.path() / "a"));
    remove_tree(dir_.path() / "never-was");
}

bool has(const Argv &argv, const std::string &word)
{
    return std::find(argv.begin(), argv.end(), word) != argv.end();
}

bool has_part(const Argv &argv, const std::string &part)
{
    return std::any_of(argv.begin(), argv.end(),
                       [&](const auto &word) { return word.find(part) != std::string::npos; });
}

TEST_F(CacheTest, QemuCommandOfACountingPmemGuest)
{
    const auto image = dir_.path() / "a,b";
    write_file(image, "");
    fs::resize_file(image, 4 << 20);
    GuestConfig config;
    config.kernel.vmlinuz = "/k/vmlinuz";
    config.kernel.vmlinux = "/k/vmlinux";
    config.initramfs = "/k/initramfs";
    config.icount = true;
    config.cpus = 4;
    config.medium = "pmem";
    config.image = image;
    config.tools = "/t/tools";
    config.script = {{"load"}};
    const auto argv = qemu_command(config, "/run");
    EXPECT_TRUE(has(argv, "shift=0,sleep=off"));
    EXPECT_TRUE(has(argv, "virtio-pmem-pci,memdev=image,addr=10.0"));
    EXPECT_TRUE(has_part(argv, "a,,b,size=4194304,share=on,readonly=on"));
    EXPECT_TRUE(has(argv, "virtio-pmem-pci,memdev=tools,bus=pcie.0,addr=11.0"));
    EXPECT_TRUE(has(argv, "name=opt/org.daxfs/script,file=/run/script"));
    EXPECT_TRUE(has(argv, "virtio-serial-pci,ioeventfd=off"));
    EXPECT_FALSE(has_part(argv, "serial=seed"));
    EXPECT_TRUE(has(argv, "/k/vmlinux"));
    EXPECT_EQ(*(std::find(argv.begin(), argv.end(), "-smp") + 1), "4");
    EXPECT_NE(kernel_cmdline(config).find("nokaslr norandmaps"), std::string::npos);
    EXPECT_EQ(kernel_cmdline(config).find("nolapic_timer"), std::string::npos) << "each CPU needs its own";
    config.cpus = 1;
    EXPECT_NE(kernel_cmdline(config).find("nolapic_timer"), std::string::npos);
}

// Several guests have one image at one address, and none takes it for its RAM.
TEST_F(CacheTest, QemuCommandOfAReservedRange)
{
    const auto image = dir_.path() / "image";
    write_file(image, "");
    fs::resize_file(image, 4 << 20);
    GuestConfig config;
    config.memory_mib = 256;
    config.medium = "reserved";
    config.image = image;
    const auto argv = qemu_command(config, "/run");
    EXPECT_TRUE(has_part(argv, "max-ram-below-4g=256M"));
    EXPECT_TRUE(has(argv, "260M"));
    EXPECT_TRUE(has(argv, "node,nodeid=1,memdev=image"));
    EXPECT_FALSE(has_part(argv, "virtio-pmem"));
    EXPECT_NE(kernel_cmdline(config).find(" memmap=4M$0x100000000"), std::string::npos);
    config.medium = "device-dax";
    EXPECT_NE(kernel_cmdline(config).find(" memmap=4M%0x100000000-1+0xefffffff"), std::string::npos);
    config.medium = "floppy";
    EXPECT_THROW(qemu_command(config, "/run"), std::runtime_error);
}

TEST_F(CacheTest, KvmGuestsUseTheHostsClockAndCpu)
{
    GuestConfig config;
    config.accel = "kvm";
    config.kernel.vmlinuz = "/k/vmlinuz";
    config.kernel.vmlinux = "/k/vmlinux";
    const auto argv = qemu_command(config, "/run");
    EXPECT_TRUE(has(argv, "host"));
    EXPECT_TRUE(has(argv, "/k/vmlinuz"));
    EXPECT_FALSE(has(argv, "-icount"));
    EXPECT_EQ(kernel_cmdline(config).find("tsc"), std::string::npos);
}

TEST_F(CacheTest, ADiskIsReadPastTheHostsPageCache)
{
    write_file(dir_.path() / "image", "x"); // of any size
    GuestConfig config;
    config.medium = "virtio-blk";
    config.image = dir_.path() / "image";
    EXPECT_TRUE(has_part(qemu_command(config, "/run"), "cache.direct=off"));
    config.direct = true;
    const auto argv = qemu_command(config, "/run");
    EXPECT_TRUE(has_part(argv, "read-only=on,cache.direct=on"));
    EXPECT_TRUE(has_part(argv, "file.cache.direct=on"));
    EXPECT_TRUE(has(argv, "virtio-blk-pci,drive=image,serial=image"));
    EXPECT_FALSE(has_part(argv, "memory-backend-file"));
}

TEST_F(CacheTest, AnImageThatIsNotWholeIsRefused)
{
    write_file(dir_.path() / "image", "x");
    GuestConfig config;
    config.medium = "pmem";
    config.image = dir_.path() / "image";
    EXPECT_THROW(qemu_command(config, "/run"), std::runtime_error);
}

// A program in QEMU's place shows how a guest that does not come up is reported.
class DeadGuestTest : public CacheTest {
protected:
    std::string error_of_boot(const std::string &script, Seconds timeout)
    {
        const auto fake = dir_.path() / "qemu-system-x86_64";
        write_file(fake, "#!/bin/sh\n" + script);
        fs::permissions(fake, fs::perms::owner_all);
        const std::string old = getenv("PATH");
        setenv("PATH", (dir_.path().string() + ":" + old).c_str(), 1);
        GuestConfig config;
        config.name = "cell, guest 0";
        config.log_dir = dir_.path() / "log";
        Guest guest(std::move(config));
        std::string line = "no error";
        guest.start();
        setenv("PATH", old.c_str(), 1);
        try {
            guest.wait_hello(timeout);
        } catch (const std::runtime_error &error) {
            line = error.what();
        }
        return line;
    }
};

TEST_F(DeadGuestTest, AnEndSaysWhy)
{
    const auto line = error_of_boot("echo 'no such machine' >&2; exit 1", Seconds(20));
    EXPECT_NE(line.find("cell, guest 0: expected the agent's hello"), std::string::npos) << line;
    EXPECT_NE(line.find("exit status 1: no such machine"), std::string::npos) << line;
    EXPECT_NE(line.find("qemu.log"), std::string::npos) << line;
}

TEST_F(DeadGuestTest, ADeadlineIsKept)
{
    const auto line = error_of_boot("exec sleep 77", Seconds(0.2));
    EXPECT_NE(line.find("nothing came within"), std::string::npos) << line;
}

TEST_F(DeadGuestTest, APanicIsQuoted)
{
    const auto console = dir_.path() / "log" / "console.log";
    const auto line = error_of_boot(
        "echo '[ 1.0] Kernel panic - not syncing: VFS' > '" + console.string() + "'; exit 0", Seconds(20));
    EXPECT_NE(line.find("the guest's kernel died: Kernel panic - not syncing: VFS"), std::string::npos)
        << line;
}

} // namespace
} // namespace daxbench
