// SPDX-License-Identifier: Apache-2.0
#include "init.hpp"

#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "protocol.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

namespace fs = std::filesystem;

void mount_kernel_filesystem(const char *type, const char *target, const char *options)
{
    ::mkdir(target, 0755);
    if (::mount(type, target, type, MS_NOSUID, options) < 0 && errno != EBUSY)
        throw_errno(std::string("cannot mount ") + type + " at " + target);
}

void open_console()
{
    const int fd = ::open("/dev/console", O_RDWR | O_NOCTTY);
    for (int standard = 0; fd >= 0 && standard < 3; ++standard)
        ::dup2(fd, standard);
    if (fd > 2)
        ::close(fd);
}

std::string find_port()
{
    std::error_code ignored;
    for (const auto &port : fs::directory_iterator("/sys/class/virtio-ports", ignored)) {
        const fs::path name = port.path() / "name";
        if (fs::exists(name) && trim(read_file(name)) == agent_port_name)
            return "/dev/" + port.path().filename().string();
    }
    return {};
}

} // namespace

GuestConfigFile read_guest_config(const std::string &path)
{
    const json text = json::parse(read_file(path));
    GuestConfigFile config;
    config.base_modules = text.value("base_modules", config.base_modules);
    config.modules = text.value("modules", config.modules);
    return config;
}

void set_up_guest()
{
    mount_kernel_filesystem("devtmpfs", "/dev", "mode=0755");
    open_console();
    mount_kernel_filesystem("proc", "/proc", "");
    mount_kernel_filesystem("sysfs", "/sys", "");
    mount_kernel_filesystem("tmpfs", "/tmp", "mode=1777");
    ::mkdir("/mnt", 0755);
    // Programs are laid out in memory the same way every time.
    ::personality(ADDR_NO_RANDOMIZE);
    quiet_kernel();
}

void set_up_host()
{
    if (::unshare(CLONE_NEWNS) < 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
        throw_errno("cannot have a mount namespace of its own (is this root?)");
    if (::mount("none", "/mnt", "tmpfs", MS_NOSUID, "mode=0755") < 0)
        throw_errno("cannot mount at /mnt (is there such a folder?)");
}

void load_module_files(const std::vector<std::string> &files)
{
    for (const std::string &file : files) {
        const UniqueFd fd = open_file(file, O_RDONLY);
        if (::syscall(SYS_finit_module, fd.get(), "", 0) < 0 && errno != EEXIST)
            throw_errno("cannot load the module " + file + " (is it built for this kernel?)");
    }
}

UniqueFd open_agent_port()
{
    for (int tries = 0; tries < 1000; ++tries) {
        const std::string port = find_port();
        if (!port.empty() && fs::exists(port))
            return open_file(port, O_RDWR);
        const timespec pause{0, 10'000'000};
        ::nanosleep(&pause, nullptr);
    }
    throw std::runtime_error(std::string("expected the virtio-serial port ") + agent_port_name +
                             ", found none: start QEMU with virtserialport,name=" + agent_port_name);
}

std::string read_script()
{
    const std::string file = std::string("/sys/firmware/qemu_fw_cfg/by_name/") + script_name + "/raw";
    return fs::exists(file) ? read_file(file) : std::string();
}

void power_off()
{
    ::sync();
    ::reboot(RB_POWER_OFF);
    for (;;)
        ::pause();
}

} // namespace daxbench
