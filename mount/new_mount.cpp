// SPDX-License-Identifier: Apache-2.0
#include "new_mount.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>

#include <fmt/format.h>

#include "error.hpp"
#include "unique_fd.hpp"

namespace daxfs {

namespace fs = std::filesystem;

namespace {

class Context {
public:
    explicit Context(int fd, const std::string &what) : fd_(fd)
    {
        if (!fd_)
            throw MountRefused(fmt::format("{}: {}", what, std::strerror(errno)));
    }

    void set(unsigned command, const char *key, const char *value, int aux, bool sloppy = false)
    {
        if (fsconfig(fd_.get(), command, key, value, aux) == 0)
            return;
        const int code = errno;
        read_log();
        if (sloppy && error_.find("Unknown parameter") != std::string::npos) {
            error_.clear();
            return;
        }
        fail(code);
    }

    [[noreturn]] void fail(int code) { throw MountRefused(error_.empty() ? std::strerror(code) : error_); }

    int get() const { return fd_.get(); }

    // The log's lines come with a letter for their weight; the last error is the reason.
    std::string read_log()
    {
        std::array<char, 4096> line;
        for (;;) {
            const auto got = read(fd_.get(), line.data(), line.size());
            if (got <= 0)
                return remarks_;
            std::string_view text(line.data(), static_cast<std::size_t>(got));
            while (text.ends_with('\n'))
                text.remove_suffix(1);
            const bool error = text.starts_with("e ");
            if (text.size() > 2 && text[1] == ' ')
                text.remove_prefix(2);
            if (error)
                error_ = printable(text);
            else
                remarks_ += printable(text) + '\n';
        }
    }

private:
    UniqueFd fd_;
    std::string error_;
    std::string remarks_;
};

void configure(Context &context, const MountRequest &request)
{
    const auto &options = request.options;
    context.set(FSCONFIG_SET_FLAG, options.read_only ? "ro" : "rw", nullptr, 0);
    for (const auto &[name, value] : options.filesystem)
        if (value.empty())
            context.set(FSCONFIG_SET_FLAG, name.c_str(), nullptr, 0, request.sloppy);
        else
            context.set(FSCONFIG_SET_STRING, name.c_str(), value.c_str(), 0, request.sloppy);
    if (request.dmabuf >= 0)
        context.set(FSCONFIG_SET_FD, "dmabuf", nullptr, request.dmabuf);
}

std::string remount(const MountRequest &request)
{
    Context context(fspick(AT_FDCWD, request.target.c_str(), FSPICK_CLOEXEC | FSPICK_NO_AUTOMOUNT),
                    "it is not mounted");
    configure(context, request);
    if (request.fake)
        return context.read_log();
    context.set(FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0);
    mount_attr change = {};
    change.attr_set = request.options.attributes;
    change.attr_clr = request.options.cleared;
    if (change.attr_set & MOUNT_ATTR__ATIME)
        change.attr_clr |= MOUNT_ATTR__ATIME;
    if ((change.attr_set || change.attr_clr) &&
        mount_setattr(AT_FDCWD, request.target.c_str(), 0, &change, sizeof change) < 0)
        throw MountRefused(std::strerror(errno));
    return context.read_log();
}

std::string first_line(const fs::path &file)
{
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    return line;
}

} // namespace

std::string mount_daxfs(const MountRequest &request)
{
    if (request.options.remount)
        return remount(request);
    Context context(fsopen("daxfs", FSOPEN_CLOEXEC),
                    "the kernel has no daxfs (modprobe daxfs), or this user may not mount");
    context.set(FSCONFIG_SET_STRING, "source", request.source.c_str(), 0);
    configure(context, request);
    if (request.fake)
        return context.read_log();
    context.set(FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
    // Asked for or not: /proc/mounts then says so at both places, and a remount repeats it.
    const auto attributes = request.options.attributes | MOUNT_ATTR_RDONLY;
    const UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!mount || move_mount(mount.get(), "", AT_FDCWD, request.target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
        context.fail(errno);
    return context.read_log();
}

/// From Linux 7.3 on: of device-dax that filesystems mount by its name.
constexpr const char *shared_driver = "fsdev_dax";

void resolve_device_dax(const std::string &source, MountOptions &options)
{
    const auto name = fs::path(source).filename();
    const auto device = fs::path("/sys/bus/dax/devices") / name;
    if (!source.starts_with("/dev/dax") || options.remount)
        return;
    if (!fs::exists(device))
        throw std::runtime_error("there is no device-dax device " + printable(source));
    if (fs::exists(device / "driver")) {
        const auto driver = fs::read_symlink(device / "driver").filename().string();
        if (driver == shared_driver)
            return;
        throw std::runtime_error(
            fmt::format("{0} is in use by the driver {1}, which lets no filesystem share it: echo {2} > "
                        "/sys/bus/dax/drivers/{1}/unbind, and to {3}/bind where there is that driver",
                        printable(source), driver, name.string(), shared_driver));
    }
    if (fs::exists(device / "mapping1"))
        throw std::runtime_error(printable(source) + " is made of several ranges: an image needs one");
    const auto start = first_line(device / "resource");
    const auto size = first_line(device / "size");
    if (start.empty() || size.empty() || size == "0")
        throw std::runtime_error(fmt::format("{} does not tell its physical range (resource \"{}\", "
                                             "size \"{}\"), and this kernel gives its memory to a "
                                             "filesystem in no other way",
                                             printable(source), start, size));
    options.filesystem.emplace_back("phys", start);
    options.filesystem.emplace_back("size", size);
}

} // namespace daxfs
