// SPDX-License-Identifier: Apache-2.0
// Containers as their runtimes make them: a process in namespaces of its own (mount, PID, UTS, IPC), whose
// root is an OverlayFS over a tree with a writable layer of its own, entered by pivot_root(2), with /proc and
// /dev. No user namespace: root in a container is root, as runtimes do by default.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace daxbench {

/// Where the writable layers lie: a tmpfs, which goes with the object.
class ContainerStore {
public:
    /// Also makes the guest's root one that pivot_root(2) can leave, which an initramfs is not.
    ContainerStore();
    ~ContainerStore();
    ContainerStore(const ContainerStore &) = delete;
    ContainerStore &operator=(const ContainerStore &) = delete;

    static const std::string &path();
};

/// The folders of an overlay with a writable layer, in the store; they go with the object.
class OverlayFolders {
public:
    /// LOWER: the layers below its own, the topmost first, with ':' between.
    OverlayFolders(const std::string &name, const std::string &lower);
    ~OverlayFolders();
    OverlayFolders(const OverlayFolders &) = delete;
    OverlayFolders &operator=(const OverlayFolders &) = delete;

    const std::string &root() const { return root_; } // where it is to be mounted
    const std::string &options() const { return options_; }
    std::string upper() const { return folder_ + "/upper"; }

private:
    std::string folder_;
    std::string root_;
    std::string options_;
};

/// What is started in a container.
struct ContainerProgram {
    std::vector<std::string> argv;
    std::vector<std::string> env; // NAME=VALUE
    int in = -1;                  // its standard input, output and error
    int out = -1;
    int err = -1;
};

/// A container that is ready to be started, any number of times one after another. Its folders are there; its
/// namespaces and mounts are made at each start, by the process that becomes the program, and end with it.
class Container {
public:
    /// LOWER: as of OverlayFolders.
    Container(const std::string &name, const std::string &lower, ContainerProgram program);
    Container(const Container &) = delete;
    Container &operator=(const Container &) = delete;

    /// Returns once the program runs. Throws what the container's set-up failed at.
    pid_t start();

    /// For run_held(): the flags of clone(2), and what the child does.
    int clone_flags() const;
    void become();
    /// Throws when become() could not set up the container.
    void check() const;

    /// Of the last start, when its namespaces were there and when its root was.
    std::uint64_t entered_ns() const { return entered_ns_; }
    std::uint64_t mounted_ns() const { return mounted_ns_; }
    /// The writable layer.
    std::string upper() const { return folders_.upper(); }

private:
    bool set_up();
    bool step(const char *what, long result);

    std::string name_;
    OverlayFolders folders_;
    ContainerProgram program_;
    std::vector<char *> argv_;
    std::vector<char *> env_;
    std::uint64_t entered_ns_ = 0;
    std::uint64_t mounted_ns_ = 0;
    const char *failed_ = nullptr; // the step
    int error_ = 0;
};

} // namespace daxbench
