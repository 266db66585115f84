// SPDX-License-Identifier: Apache-2.0
// Runs in a guest: what a process sees of memory that goes away or fails below a mount.
#include "region_probe.hpp"

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <dirent.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "unique_fd.hpp"

namespace fs = std::filesystem;
using daxfs::UniqueFd;

namespace probe {

siginfo_t caught;

void write_to(const std::string &path, const std::string &text)
{
    UniqueFd file(open(path.c_str(), O_WRONLY));
    ASSERT_TRUE(file) << path << ": " << strerror(errno);
    ASSERT_EQ(write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()))
        << path << ": " << strerror(errno);
}

char *map_big(int flags, int protection)
{
    const UniqueFd file(open((root + "/big").c_str(), O_RDONLY));
    void *at = mmap(nullptr, mapped, protection, flags, file.get(), 0);
    return at == MAP_FAILED ? nullptr : static_cast<char *>(at);
}

static sigjmp_buf back;

static void on_bus(int, siginfo_t *info, void *)
{
    caught = *info;
    siglongjmp(back, 1);
}

int bus_code_of(const std::function<void()> &access)
{
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_sigaction = on_bus;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, &before);
    volatile int code = 0;
    if (sigsetjmp(back, 1))
        code = caught.si_code;
    else
        access();
    sigaction(SIGBUS, &before, nullptr);
    return code;
}

int bus_code(const volatile char *at, char *byte)
{
    return bus_code_of([=] {
        const char got = *at;
        if (byte)
            *byte = got;
    });
}

bool reads(const volatile char *at, char wanted)
{
    char got = 0;
    return bus_code(at, &got) == 0 && got == wanted;
}

std::uint64_t frame_of(const volatile char *at)
{
    const UniqueFd map(open("/proc/self/pagemap", O_RDONLY));
    std::uint64_t entry = 0;
    const auto where = reinterpret_cast<std::uintptr_t>(at) / page * sizeof entry;
    EXPECT_EQ(pread(map.get(), &entry, sizeof entry, static_cast<off_t>(where)), 8);
    return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

static std::string only_entry(const fs::path &dir, const std::string &prefix)
{
    for (const auto &entry : fs::directory_iterator(dir))
        if (entry.path().filename().string().starts_with(prefix))
            return entry.path().filename();
    return {};
}

void take_away()
{
    const char *how = std::getenv("TAKE_AWAY");
    ASSERT_NE(how, nullptr);
    const std::string way = how;
    const auto virtio = only_entry("/sys/bus/virtio/drivers/virtio_pmem", "virtio");
    if (way == "namespace")
        write_to("/sys/bus/nd/drivers/nd_pmem/unbind", "namespace0.0");
    else if (way == "driver")
        write_to("/sys/bus/virtio/drivers/virtio_pmem/unbind", virtio);
    else if (way == "device")
        write_to(fs::canonical("/sys/bus/virtio/devices/" + virtio).parent_path() / "remove", "1");
    else
        FAIL() << "TAKE_AWAY=" << way;
}

} // namespace probe

using namespace probe;

// A region that goes away under a mount: EIO and SIGBUS, and what a process owns stays.
TEST(Region, GoesAway)
{
    const UniqueFd file(open((root + "/file").c_str(), O_RDONLY));
    const UniqueFd dir(open(root.c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(file && dir);
    char *shared = map_big(MAP_SHARED);
    char *copied = map_big(MAP_PRIVATE, PROT_READ | PROT_WRITE);
    char *untouched = map_big(MAP_SHARED);
    ASSERT_TRUE(shared && copied && untouched);
    for (std::size_t at = 0; at < mapped; at += page)
        ASSERT_TRUE(reads(shared + at, 'b') && reads(copied + at, 'b'));
    copied[page] = 'c';

    // Processes that go on touching memory while it goes.
    pid_t children[4];
    for (pid_t &child : children) {
        child = fork();
        ASSERT_GE(child, 0);
        for (; child == 0;) {
            char *at = map_big(MAP_SHARED);
            if (!at)
                _exit(0);
            for (std::size_t i = 0; i < mapped; i += page)
                if (bus_code(at + i))
                    _exit(0);
            munmap(at, mapped);
        }
    }
    usleep(200000);
    take_away();

    for (const pid_t child : children) {
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    char buffer[8];
    EXPECT_EQ(pread(file.get(), buffer, sizeof buffer, 0), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(bus_code(shared), BUS_ADRERR);
    EXPECT_EQ(bus_code(shared + huge + page), BUS_ADRERR);
    EXPECT_EQ(bus_code(untouched), BUS_ADRERR);
    EXPECT_EQ(bus_code(copied), BUS_ADRERR);
    EXPECT_TRUE(reads(copied + page, 'c')) << "a page the process had written to is its own";
    EXPECT_EQ(open((root + "/unseen").c_str(), O_RDONLY), -1);
    EXPECT_EQ(errno, EIO);
    DIR *list = fdopendir(dup(dir.get()));
    ASSERT_NE(list, nullptr);
    while (readdir(list))
        ;
    EXPECT_EQ(errno, EIO);
    closedir(list);
    struct stat info;
    EXPECT_EQ(fstat(file.get(), &info), 0) << "what is known stays known";
}

// A page that fails gives SIGBUS to who touches it, and EIO to who reads it; all others live on.
TEST(Region, HasAPageThatFails)
{
    char *shared = map_big(MAP_SHARED);
    char *other = map_big(MAP_PRIVATE);
    ASSERT_TRUE(shared && other);
    const std::size_t bad = 5 * page;
    for (std::size_t at = 0; at < mapped; at += page)
        ASSERT_TRUE(reads(shared + at, 'b') && reads(other + at, 'b'));
    const auto frame = frame_of(shared + bad);
    ASSERT_NE(frame, 0U);
    write_to("/sys/kernel/debug/hwpoison/corrupt-pfn", std::to_string(frame));

    for (char *mapping : {shared, other}) {
        EXPECT_EQ(bus_code(mapping + bad), BUS_MCEERR_AR);
        EXPECT_EQ(caught.si_addr, mapping + bad);
        for (std::size_t at = 0; at < mapped; at += page)
            ASSERT_TRUE(at == bad || reads(mapping + at, 'b')) << at;
    }
    const UniqueFd file(open((root + "/big").c_str(), O_RDONLY));
    std::string buffer(mapped, '\0');
    EXPECT_EQ(pread(file.get(), buffer.data(), mapped, 0), static_cast<ssize_t>(bad));
    EXPECT_EQ(pread(file.get(), buffer.data(), page, bad), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(pread(file.get(), buffer.data(), mapped, bad + page),
              static_cast<ssize_t>(mapped - bad - page));
    EXPECT_EQ(buffer[0], 'b');

    // A write to a private page copies; from the failed one it cannot.
    char *writable = map_big(MAP_PRIVATE, PROT_READ | PROT_WRITE);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        writable[0] = 'w';
        writable[bad] = 'w';
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status;
}

// The same by the call that a process makes on its own memory.
TEST(Region, HasAPageThatIsSaidToFail)
{
    char *shared = map_big(MAP_SHARED);
    ASSERT_TRUE(shared && reads(shared + huge, 'b'));
    ASSERT_EQ(madvise(shared + huge, page, MADV_HWPOISON), 0) << strerror(errno);
    EXPECT_EQ(bus_code(shared + huge), BUS_MCEERR_AR);
    EXPECT_TRUE(reads(shared + huge - page, 'b'));
    EXPECT_TRUE(reads(shared + huge + page, 'b'));
}

// Who writes into another's memory has something else at that address, or nothing.
TEST(Region, IsCopiedForAWriterFromOutside)
{
    char *there = nullptr;
    int ready[2], go[2];
    ASSERT_EQ(pipe(ready) | pipe(go), 0);
    const pid_t child = fork();
    if (child == 0) {
        char *mine = map_big(MAP_PRIVATE);
        char byte;
        if (write(ready[1], &mine, sizeof mine) != sizeof mine || read(go[0], &byte, 1) != 1)
            _exit(2);
        for (std::size_t i = 0; i < page; ++i)
            if (mine[huge + i] != (i == 100 ? 'w' : 'b'))
                _exit(3);
        _exit(0);
    }
    ASSERT_EQ(read(ready[0], &there, sizeof there), static_cast<ssize_t>(sizeof there));
    ASSERT_NE(there, nullptr);
    const UniqueFd memory(open(("/proc/" + std::to_string(child) + "/mem").c_str(), O_RDWR));
    const auto at = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(there) + huge + 100);
    EXPECT_EQ(pwrite(memory.get(), "w", 1, at), 1) << strerror(errno);
    ASSERT_EQ(write(go[1], "", 1), 1);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// A device that another holds cannot be opened, and the mount gives back nothing it never had.
TEST(Region, IsHeldByAnother)
{
    const UniqueFd holder(open("/dev/pmem0", O_RDONLY | O_EXCL));
    ASSERT_TRUE(holder) << strerror(errno);
    struct stat before;
    ASSERT_EQ(stat("/", &before), 0);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(mount("/dev/pmem0", root.c_str(), "daxfs", MS_RDONLY, ""), -1);
        EXPECT_EQ(errno, EBUSY);
    }
    // Numbers of file systems without a device are still their own.
    std::set<dev_t> devices{before.st_dev};
    for (int i = 0; i < 8; ++i) {
        const std::string where = "/tmp/device" + std::to_string(i);
        fs::create_directory(where);
        ASSERT_EQ(mount("none", where.c_str(), "tmpfs", 0, ""), 0) << strerror(errno);
        struct stat info;
        ASSERT_EQ(stat(where.c_str(), &info), 0);
        EXPECT_TRUE(devices.insert(info.st_dev).second) << info.st_dev;
    }
}

// One dma-buf at two places is one super block; it outlives the descriptor that named it.
TEST(Region, IsADmaBufMountedTwice)
{
    const UniqueFd memory(memfd_create("image", MFD_ALLOW_SEALING));
    const auto size = fs::file_size("/tmp/image");
    const UniqueFd image(open("/tmp/image", O_RDONLY));
    std::string bytes(size, '\0');
    ASSERT_EQ(read(image.get(), bytes.data(), size), static_cast<ssize_t>(size));
    ASSERT_EQ(write(memory.get(), bytes.data(), size), static_cast<ssize_t>(size));
    ASSERT_EQ(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    const UniqueFd device(open("/dev/udmabuf", O_RDWR));
    udmabuf_create create = {};
    create.memfd = static_cast<std::uint32_t>(memory.get());
    create.size = size;
    UniqueFd buffer(ioctl(device.get(), UDMABUF_CREATE, &create));
    ASSERT_TRUE(buffer) << strerror(errno);

    fs::create_directories(root);
    fs::create_directories("/mnt/y");
    const auto option = "dmabuf=" + std::to_string(buffer.get());
    for (const std::string &target : {root, std::string("/mnt/y")})
        ASSERT_EQ(std::system(("/sbin/mount.daxfs none " + target + " -o " + option).c_str()), 0);
    buffer.reset();
    struct stat one, two;
    ASSERT_EQ(stat((root + "/file").c_str(), &one), 0);
    ASSERT_EQ(stat("/mnt/y/file", &two), 0);
    EXPECT_EQ(one.st_dev, two.st_dev);
    EXPECT_EQ(one.st_ino, two.st_ino);

    // The owner may change what is in it, at any time: readers see that, and nothing breaks.
    char *mapping = map_big(MAP_SHARED);
    ASSERT_TRUE(mapping && reads(mapping, 'b'));
    const auto at = bytes.find(std::string(huge, 'b'));
    ASSERT_NE(at, std::string::npos);
    ASSERT_EQ(pwrite(memory.get(), "z", 1, static_cast<off_t>(at)), 1);
    EXPECT_TRUE(reads(mapping, 'z'));
    ASSERT_EQ(umount(root.c_str()), -1) << "a mapping keeps the mount";
    munmap(mapping, mapped);
    ASSERT_EQ(umount(root.c_str()), 0);
    ASSERT_EQ(umount("/mnt/y"), 0);
}

// Not a check: puts /tmp/image where device-dax has memory.
TEST(Region, FillsDeviceDax)
{
    const UniqueFd device(open(getenv("DEVICE"), O_RDWR));
    ASSERT_TRUE(device) << strerror(errno);
    const auto size = fs::file_size("/tmp/image");
    void *to = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, device.get(), 0);
    ASSERT_NE(to, MAP_FAILED) << strerror(errno);
    const UniqueFd image(open("/tmp/image", O_RDONLY));
    ASSERT_EQ(read(image.get(), to, size), static_cast<ssize_t>(size));
}
