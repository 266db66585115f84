// SPDX-License-Identifier: Apache-2.0
// daxfs-fuse as a process, and its mount.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace daxfs::test {

// Where the mount is of another filesystem than the directory it is in.
bool is_mounted(const std::filesystem::path &dir);

// Runs a program, its output and errors into a file; its wait status.
int run(const std::vector<std::string> &argv, const std::filesystem::path &log);

// daxfs-fuse -f with these options on a directory, which is made; unmounted at the end.
class FuseMount {
public:
    FuseMount(const std::filesystem::path &image, const std::filesystem::path &dir,
              const std::vector<std::string> &options = {});
    FuseMount(const FuseMount &) = delete;
    FuseMount &operator=(const FuseMount &) = delete;
    ~FuseMount();

    const std::filesystem::path &dir() const { return dir_; }
    pid_t pid() const { return pid_; }
    // What it printed up to now.
    std::string log() const;
    // Its wait status, which it has to have in some seconds; -1 if it has not.
    int wait();
    // As its user does it; then as wait().
    int unmount();

private:
    std::filesystem::path dir_;
    std::filesystem::path log_;
    pid_t pid_ = -1;
};

} // namespace daxfs::test
