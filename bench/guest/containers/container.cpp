// SPDX-License-Identifier: Apache-2.0
#include "container.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io.hpp"
#include "mounts.hpp"
#include "process.hpp"
#include "system.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

void require(int result, const std::string &what)
{
    if (result < 0)
        throw_errno(what);
}

// What lies directly on "/", and is no part of another mount.
std::vector<std::string> mounts_on_root()
{
    std::vector<std::string> targets;
    for (const MountInfo &mount : parse_mountinfo(read_file("/proc/self/mountinfo"))) {
        bool inside = mount.target == "/";
        for (const std::string &other : targets)
            inside = inside || mount.target == other || mount.target.starts_with(other + "/");
        if (!inside)
            targets.push_back(mount.target);
    }
    return targets;
}

// pivot_root(2) refuses to leave the kernel's first mount. As switch_root(8) does, another mount of the same
// tree takes its place; what is mounted on it moves along, so that nothing is mounted twice.
void leave_first_root()
{
    static bool left = false;
    if (left || mounted_at("/").type != "rootfs")
        return;
    const std::string root = "/root-of-containers";
    fs::create_directories(root);
    const auto targets = mounts_on_root();
    require(::mount("/", root.c_str(), nullptr, MS_BIND, nullptr), "cannot mount / at " + root);
    for (const std::string &target : targets)
        require(::mount(target.c_str(), (root + target).c_str(), nullptr, MS_MOVE, nullptr),
                "cannot move the mount " + target);
    require(::chdir(root.c_str()), "cannot enter " + root);
    require(::mount(root.c_str(), "/", nullptr, MS_MOVE, nullptr), "cannot move the root");
    require(::chroot("."), "cannot enter the new root");
    require(::chdir("/"), "cannot enter the new root");
    left = true;
}

// Those that programs expect, in a child of vfork(2).
int make_devices()
{
    static constexpr std::pair<const char *, int> devices[] = {
        {"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}, {"dev/random", 8}, {"dev/urandom", 9}};
    for (const auto &[path, minor] : devices)
        if (::mknod(path, S_IFCHR | 0666, makedev(1, minor)) < 0)
            return -1;
    return 0;
}

} // namespace

const std::string &ContainerStore::path()
{
    static const std::string path = "/containers";
    return path;
}

ContainerStore::ContainerStore()
{
    leave_first_root();
    mount_filesystem("tmpfs", "none", "mode=755,noatime", path());
}

ContainerStore::~ContainerStore()
{
    ::umount2(path().c_str(), MNT_DETACH);
}

OverlayFolders::OverlayFolders(const std::string &name, const std::string &lower)
    : folder_(ContainerStore::path() + "/" + name), root_(folder_ + "/root"),
      options_(fmt::format("lowerdir={},upperdir={}/upper,workdir={}/work", lower, folder_, folder_))
{
    if (options_.size() >= 4096) // mount(2) takes a page of them
        throw std::runtime_error(
            fmt::format("expected mount options of an overlay of at most 4095 bytes, its "
                        "layers need {}: give it fewer",
                        options_.size()));
    for (const char *folder : {"upper", "work", "root"})
        fs::create_directories(folder_ + "/" + folder);
}

OverlayFolders::~OverlayFolders()
{
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

Container::Container(const std::string &name, const std::string &lower, ContainerProgram program)
    : name_(name), folders_(name, lower), program_(std::move(program)), argv_(c_array(program_.argv)),
      env_(c_array(program_.env))
{
}

int Container::clone_flags() const
{
    return CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
}

bool Container::step(const char *what, long result)
{
    if (result >= 0)
        return true;
    failed_ = what;
    error_ = errno;
    return false;
}

// In the child: system calls only.
bool Container::set_up()
{
    return step("set its host name", ::sethostname(name_.c_str(), name_.size())) &&
           step("make its mounts private", ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) &&
           step("mount its overlay",
                ::mount("overlay", folders_.root().c_str(), "overlay", 0, folders_.options().c_str())) &&
           step("enter its overlay", ::chdir(folders_.root().c_str())) &&
           step("mount its /proc",
                ::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr)) &&
           step("mount its /dev", ::mount("dev", "dev", "tmpfs", MS_NOSUID, "mode=755")) &&
           step("make its devices", make_devices()) &&
           step("pivot its root", ::syscall(SYS_pivot_root, ".", ".")) &&
           step("leave the old root", ::umount2(".", MNT_DETACH)) && step("enter its root", ::chdir("/"));
}

void Container::become()
{
    entered_ns_ = now_ns();
    if (!set_up())
        return;
    mounted_ns_ = now_ns();
    ::dup2(program_.in, 0);
    ::dup2(program_.out, 1);
    ::dup2(program_.err, 2);
    ::execve(argv_[0], argv_.data(), env_.data());
    step("execute its program", -1);
}

void Container::check() const
{
    if (failed_ == nullptr)
        return;
    throw std::runtime_error(fmt::format("expected the container {} to run {}, it could not {}: {}", name_,
                                         program_.argv[0], failed_, std::strerror(error_)));
}

pid_t Container::start()
{
    failed_ = nullptr;
    const sched_param priority{.sched_priority = 1};
    const bool realtime = ::sched_getscheduler(0) == SCHED_FIFO;
    const pid_t pid = vfork_into(clone_flags(), [&] {
        if (realtime) // below its starter, which then hears of its output at once
            ::sched_setscheduler(0, SCHED_FIFO, &priority);
        become();
    });
    if (pid < 0)
        throw_errno("cannot make the namespaces of a container");
    if (failed_ != nullptr)
        ::waitpid(pid, nullptr, 0);
    check();
    return pid;
}

} // namespace daxbench
