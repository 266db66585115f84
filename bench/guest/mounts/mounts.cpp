// SPDX-License-Identifier: Apache-2.0
#include "mounts.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "devices.hpp"
#include "io.hpp"
#include "memory_sources.hpp"
#include "protocol.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

// What mount_filesystem() was asked for, by target.
std::map<std::string, MountInfo> mounted;

// Flags of the mount, not of the file system; "ro" is both, as for mount(8).
const std::map<std::string, unsigned> mount_attributes = {{"ro", MOUNT_ATTR_RDONLY},
                                                          {"nosuid", MOUNT_ATTR_NOSUID},
                                                          {"nodev", MOUNT_ATTR_NODEV},
                                                          {"noexec", MOUNT_ATTR_NOEXEC},
                                                          {"noatime", MOUNT_ATTR_NOATIME},
                                                          {"relatime", MOUNT_ATTR_RELATIME},
                                                          {"strictatime", MOUNT_ATTR_STRICTATIME},
                                                          {"nodiratime", MOUNT_ATTR_NODIRATIME}};

// mountinfo writes blanks as \040 and so on.
std::string unescape(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out +=
                static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

// What the file system said about its configuration, e.g. "e erofs: …".
std::string context_messages(int context)
{
    std::string all;
    char line[1024];
    for (;;) {
        const ssize_t got = ::read(context, line, sizeof line);
        if (got <= 0)
            return all;
        std::string_view text = trim({line, static_cast<std::size_t>(got)});
        if (text.size() > 2 && text[1] == ' ')
            text.remove_prefix(2);
        all += (all.empty() ? "" : "; ") + std::string(text);
    }
}

[[noreturn]] void fail(int context, const std::string &what)
{
    const int error = errno;
    const std::string said = context >= 0 ? context_messages(context) : "";
    throw std::runtime_error(what + ": " + std::strerror(error) + (said.empty() ? "" : " (" + said + ")"));
}

void configure(int context, const std::string &option)
{
    const auto equals = option.find('=');
    const std::string key = option.substr(0, equals);
    const int result = equals == std::string::npos
                           ? ::fsconfig(context, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                           : ::fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), &option[equals + 1], 0);
    if (result < 0)
        fail(context, "the option '" + option + "' was refused");
}

} // namespace

std::vector<std::string> split(std::string_view text, char separator)
{
    std::vector<std::string> parts;
    std::size_t start = 0;
    while (start <= text.size()) {
        const std::size_t end = std::min(text.find(separator, start), text.size());
        if (end > start)
            parts.emplace_back(text.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

std::vector<MountInfo> parse_mountinfo(std::string_view text)
{
    std::vector<MountInfo> mounts;
    for (const std::string &line : split(text, '\n')) {
        // ID PARENT MAJ:MIN ROOT TARGET OPTIONS [TAGS…] - TYPE SOURCE SUPER_OPTIONS
        const auto fields = split(line, ' ');
        std::size_t dash = 6;
        while (dash < fields.size() && fields[dash] != "-")
            ++dash;
        if (dash + 3 >= fields.size())
            continue;
        mounts.push_back({unescape(fields[4]), fields[dash + 1], unescape(fields[dash + 2]),
                          fields[5] + "," + fields[dash + 3]});
    }
    return mounts;
}

MountInfo mounted_at(const std::string &target)
{
    const auto mounts = parse_mountinfo(read_file("/proc/self/mountinfo"));
    for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount)
        if (mount->target == target)
            return *mount;
    throw std::runtime_error("expected something mounted at " + target + ", nothing is: send 'mount' first");
}

namespace {

void mount_device(const std::string &type, const std::string &source, const std::string &options,
                  const std::string &target)
{
    const std::string what = "cannot mount " + type + " from " + source + " at " + target;
    const UniqueFd context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
    if (!context)
        throw_errno(what + ": the kernel has no file system " + type + " (load its module)");
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", source.c_str(), 0) < 0)
        fail(context.get(), what);
    unsigned attributes = 0;
    for (const std::string &option : split(options, ',')) {
        const auto attribute = mount_attributes.find(option);
        if (attribute != mount_attributes.end())
            attributes |= attribute->second;
        if (attribute == mount_attributes.end() || option == "ro")
            configure(context.get(), option);
    }
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
        fail(context.get(), what);
    const UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
    if (!mount)
        fail(context.get(), what);
    if (::move_mount(mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
        fail(context.get(), what);
}

} // namespace

void mount_filesystem(const std::string &type, const std::string &source, const std::string &options,
                      const std::string &target)
{
    fs::create_directories(target);
    // Found once: a mount that is made again, and timed, does not look for its device.
    const bool memory = is_memory_source(source);
    const auto device = memory ? source : resolve_source(source);
    if (memory && type == "daxfs")
        mount_by_helper(prepare_memory(source), options, target);
    else
        mount_device(type, memory ? prepare_memory(source).source : device, options, target);
    mounted[target] = {target, type, device, options};
}

std::string below(const std::string &target)
{
    return target + ".below";
}

void mount_overlay(const std::string &target)
{
    const std::string own = target + ".own"; // stays when the overlay is mounted again
    if (!mounted.contains(own)) {
        mount_filesystem("tmpfs", "none", "mode=755,noatime", own);
        fs::create_directories(own + "/upper");
        fs::create_directories(own + "/work");
    }
    mount_filesystem("overlay", "none",
                     fmt::format("lowerdir={},upperdir={}/upper,workdir={}/work", below(target), own, own),
                     target);
}

void mount_again(const std::string &target)
{
    if (!mounted.contains(target))
        return;
    const MountInfo mount = unmount(target);
    mount_again(below(target));
    mount_filesystem(mount.type, mount.source, mount.options, target);
}

MountInfo unmount(const std::string &target)
{
    if (::umount2(target.c_str(), 0) < 0)
        throw_errno("cannot unmount " + target);
    const auto found = mounted.extract(target);
    return found ? found.mapped() : MountInfo{target, "", "", ""};
}

} // namespace daxbench
