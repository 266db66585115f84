// SPDX-License-Identifier: Apache-2.0
#include "disk_xattrs.hpp"

#include <cerrno>
#include <string_view>

#include <sched.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

#include "error.hpp"

namespace daxfs {

void DiskXattrs::own_working_directory()
{
    owns_directory_ = unshare(CLONE_FS) == 0;
}

void DiskXattrs::enter(int dir)
{
    is_inside_ = owns_directory_ && fchdir(dir) == 0;
}

std::uint32_t DiskXattrs::read(int dir, const char *name, const std::string &dir_path)
{
    // There is no llistxattrat(2) before 6.13; /proc reaches any depth in few steps.
    fmt::basic_memory_buffer<char, 320> path;
    if (is_inside_)
        fmt::format_to(std::back_inserter(path), "{}", name);
    else
        fmt::format_to(std::back_inserter(path), "/proc/self/fd/{}/{}", dir, name);
    path.push_back('\0');
    return read_at(path.data(), [&] { return fmt::format("/{}/{}", printable(dir_path), printable(name)); });
}

std::uint32_t DiskXattrs::read(const std::string &path)
{
    return read_at(path.c_str(), [&] { return printable(path); });
}

std::uint32_t DiskXattrs::read_at(const char *path, const std::function<std::string()> &shown)
{
    const auto failure = [&](const char *what) {
        return system_failure(errno, fmt::format("cannot {} of {}", what, shown()));
    };
    const ssize_t listed = llistxattr(path, buffer_.data(), buffer_.size());
    if (listed == 0 || (listed < 0 && errno == ENOTSUP))
        return 0;
    if (listed < 0)
        throw failure("list the extended attributes");

    const std::string names(buffer_.data(), static_cast<std::size_t>(listed));
    std::vector<Xattr> xattrs;
    for (std::size_t at = 0; at < names.size();) {
        const char *full = names.c_str() + at;
        at += std::string_view(full).size() + 1;
        Xattr xattr;
        if (!split_xattr_name(full, xattr))
            continue;
        const ssize_t got = lgetxattr(path, full, buffer_.data(), buffer_.size());
        if (got < 0)
            throw failure("read an extended attribute");
        xattr.value.assign(buffer_.data(), static_cast<std::size_t>(got));
        xattrs.push_back(std::move(xattr));
    }
    return sets_.intern(std::move(xattrs));
}

} // namespace daxfs
