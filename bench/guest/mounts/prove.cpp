// SPDX-License-Identifier: Apache-2.0
#include "prove.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "mounts.hpp"
#include "selection.hpp"
#include "settings.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

constexpr std::uint64_t probe_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t least_probe_bytes = std::uint64_t{1} << 20;

struct Seen {
    MountInfo mount; // below an overlay, where there is one
    std::string top; // type of what is at the target itself
    std::string file;
    bool dax = false;
    std::uint64_t read_bytes = 0;
    std::uint64_t growth = 0; // of page cache and buffers by reading these bytes
};

bool has_dax_attribute(const std::string &path)
{
    struct statx st {};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) < 0)
        throw_errno("cannot statx " + path);
    return (st.stx_attributes & STATX_ATTR_DAX) != 0;
}

std::uint64_t read_some(const std::string &path)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    std::vector<char> buffer(1 << 18);
    std::uint64_t total = 0;
    while (total < probe_bytes) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0)
            throw_errno("cannot read " + path);
        if (got == 0)
            break;
        total += static_cast<std::uint64_t>(got);
    }
    return total;
}

Seen look(const std::string &target, const std::string &file, bool overlay)
{
    Seen seen;
    seen.top = mounted_at(target).type;
    seen.mount = mounted_at(overlay ? below(target) : target);
    seen.file = select_files(target, {{"file", file}})[0].path;
    drop_caches();
    const std::uint64_t before = page_cache_bytes();
    seen.read_bytes = read_some(seen.file);
    const std::uint64_t after = page_cache_bytes();
    seen.growth = after > before ? after - before : 0;
    seen.dax = has_dax_attribute(seen.file);
    return seen;
}

std::string megabytes(std::uint64_t bytes)
{
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// The kernel's last word on DAX, which is the cause more often than not.
std::string cause(KernelLog &log)
{
    const auto said = log.find("dax");
    if (said.empty())
        return "the kernel gave no reason";
    return "the kernel says \"" + said.back() + "\"";
}

void check_type(const Seen &seen, const json &args)
{
    const std::string type = args.at("type");
    if (args.value("overlay", false) && seen.top != "overlay")
        throw std::runtime_error(fmt::format("expected an overlay at {}, found {}",
                                             args.at("target").get<std::string>(), seen.top));
    if (seen.mount.type != type)
        throw std::runtime_error(fmt::format("expected {} at {}, found {}: mount it first", type,
                                             args.at("target").get<std::string>(), seen.mount.type));
}

void check_options(const Seen &seen, const json &args)
{
    const std::string type = args.at("type");
    const std::string target = args.at("target");
    const auto have = split(seen.mount.options, ',');
    for (const std::string option : args.value("options", json::array()))
        if (std::find(have.begin(), have.end(), option) == have.end())
            throw std::runtime_error(
                fmt::format("expected the option '{}' on {} at {}, the kernel reads back '{}': it "
                            "was not accepted as given",
                            option, type, target, seen.mount.options));
}

void check_dax(const Seen &seen, const json &args, KernelLog &log)
{
    const std::string target = args.at("target");
    const bool wanted = args.value("dax", false);
    if (wanted && !seen.dax)
        throw std::runtime_error(fmt::format(
            "expected DAX on {}, STATX_ATTR_DAX is not set and page cache grew by {} on a read of "
            "{}: {}; use a device that has DAX, such as virtio-pmem over a shared memory-backend",
            target, megabytes(seen.growth), megabytes(seen.read_bytes), cause(log)));
    if (!wanted && seen.dax)
        throw std::runtime_error(fmt::format("expected {} without DAX, STATX_ATTR_DAX is set on {}: "
                                             "mount it with DAX off",
                                             target, seen.file));
}

void check_page_cache(const Seen &seen, const json &args)
{
    if (!args.contains("page_cache"))
        return;
    const std::string target = args.at("target");
    const bool wanted = args.at("page_cache");
    if (seen.read_bytes < least_probe_bytes)
        throw std::runtime_error(
            fmt::format("expected a file of 1 MiB or more on {} to prove what reads leave "
                        "in the page cache, the largest has {} bytes: use a dataset with "
                        "a larger file",
                        target, seen.read_bytes));
    if (!wanted && seen.growth * 10 >= seen.read_bytes)
        throw std::runtime_error(fmt::format("expected no page cache on {}, it grew by {} on a read "
                                             "of {}: reads do not go straight to memory",
                                             target, megabytes(seen.growth), megabytes(seen.read_bytes)));
    if (wanted && seen.growth * 2 < seen.read_bytes)
        throw std::runtime_error(
            fmt::format("expected reads on {} to fill the page cache, it grew by {} on a "
                        "read of {}: the file was cached before, or is read elsewhere",
                        target, megabytes(seen.growth), megabytes(seen.read_bytes)));
}

} // namespace

json prove_mount(const json &args, KernelLog &log)
{
    const Seen seen = look(args.at("target"), args.value("file", "large"), args.value("overlay", false));
    check_type(seen, args);
    // Before the options: a file system that turned DAX off also drops its option, and the reason
    // is the more useful line of the two.
    check_dax(seen, args, log);
    check_options(seen, args);
    check_page_cache(seen, args);
    json proof = {{"type", seen.mount.type},
                  {"options", seen.mount.options},
                  {"statx_dax", seen.dax},
                  {"read_bytes", seen.read_bytes},
                  {"page_cache_growth_bytes", seen.growth}};
    for (const std::string setting : args.value("settings", json::array())) {
        check_setting(setting);
        proof["settings"].push_back(setting);
    }
    return proof;
}

} // namespace daxbench
