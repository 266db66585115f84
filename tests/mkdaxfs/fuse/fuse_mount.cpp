// SPDX-License-Identifier: Apache-2.0
#include "fuse_mount.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "shell.hpp"
#include "tree_fixture.hpp"

namespace daxfs::test {

namespace fs = std::filesystem;

namespace {

constexpr int patience = 1000; // hundredths of a second

pid_t start(const std::vector<std::string> &argv, const fs::path &log)
{
    std::vector<char *> words;
    for (const std::string &arg : argv)
        words.push_back(const_cast<char *>(arg.c_str()));
    words.push_back(nullptr);
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(words[0], words.data());
    _exit(127);
}

// Not a failure but a skip, said as one: nothing here can be tried.
class CanMount : public testing::Environment {
    void SetUp() override
    {
        std::string why;
        if (const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC); fd >= 0)
            close(fd);
        else
            why = std::string("/dev/fuse cannot be used: ") + strerror(errno);
        if (why.empty() && geteuid() != 0 && !have_program("fusermount3"))
            why = "fusermount3 is not installed, which mounts for users; install the package fuse3";
        if (why.empty())
            return;
        std::printf("skipped: %s\n", why.c_str());
        std::fflush(stdout);
        _exit(77);
    }
};

const testing::Environment *const can_mount = testing::AddGlobalTestEnvironment(new CanMount);

} // namespace

bool is_mounted(const fs::path &dir)
{
    struct stat inside = {};
    struct stat outside = {};
    // A mount whose server is gone is one, too.
    if (stat(dir.c_str(), &inside) != 0)
        return errno == ENOTCONN || errno == EACCES;
    return stat(dir.parent_path().c_str(), &outside) == 0 && inside.st_dev != outside.st_dev;
}

int run(const std::vector<std::string> &argv, const fs::path &log)
{
    int status = -1;
    waitpid(start(argv, log), &status, 0);
    return status;
}

FuseMount::FuseMount(const fs::path &image, const fs::path &dir, const std::vector<std::string> &options)
    : dir_(dir), log_(dir.string() + ".log")
{
    fs::create_directories(dir);
    fs::remove(log_);
    std::vector<std::string> argv = {DAXFS_FUSE_TOOL, "-f", image, dir};
    argv.insert(argv.end(), options.begin(), options.end());
    pid_ = start(argv, log_);
    for (int i = 0; i < patience && !is_mounted(dir); ++i) {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            break;
        }
        usleep(10000);
    }
    EXPECT_TRUE(is_mounted(dir)) << log();
}

FuseMount::~FuseMount()
{
    if (pid_ < 0)
        return;
    umount2(dir_.c_str(), MNT_DETACH);
    kill(pid_, SIGTERM);
    if (wait() == -1)
        kill(pid_, SIGKILL);
}

std::string FuseMount::log() const
{
    return read_file(log_);
}

int FuseMount::wait()
{
    for (int i = 0; i < patience; ++i) {
        int status = -1;
        if (waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return status;
        }
        usleep(10000);
    }
    return -1;
}

int FuseMount::unmount()
{
    if (have_program("fusermount3"))
        EXPECT_EQ(shell("fusermount3 -u " + dir_.string()), "");
    else
        EXPECT_EQ(umount2(dir_.c_str(), 0), 0) << strerror(errno);
    return wait();
}

} // namespace daxfs::test
