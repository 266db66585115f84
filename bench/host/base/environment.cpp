// SPDX-License-Identifier: Apache-2.0
#include "environment.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include <sched.h>
#include <sys/utsname.h>

#include "cache.hpp"
#include "process.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

std::string first_line(const std::string &text)
{
    auto line = text.substr(0, text.find('\n'));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r'))
        line.pop_back();
    return line;
}

std::string read_or_empty(const fs::path &path)
{
    try {
        return read_file(path);
    } catch (const std::exception &) {
        return {};
    }
}

// "model name\t: X" → "X", the first such line.
std::string value_after(const std::string &text, const std::string &name)
{
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        if (line.starts_with(name)) {
            const auto at = line.find_first_not_of(" \t", line.find(':') + 1);
            return at == std::string::npos ? std::string() : line.substr(at);
        }
    return {};
}

std::uint64_t meminfo_bytes(const std::string &text, const std::string &name)
{
    const auto value = value_after(text, name + ":");
    return value.empty() ? 0 : std::stoull(value) * 1024;
}

std::string qemu_version()
{
    const std::string prefix = "QEMU emulator version ";
    const auto line = tool_version({"qemu-system-x86_64", "--version"});
    return line.starts_with(prefix) ? line.substr(prefix.size()) : line;
}

} // namespace

HostEnvironment host_environment()
{
    HostEnvironment host;
    host.os = os_release_value(read_or_empty("/etc/os-release"), "PRETTY_NAME");
    host.cpu = value_after(read_or_empty("/proc/cpuinfo"), "model name");
    cpu_set_t cpus;
    host.cores = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? static_cast<unsigned>(CPU_COUNT(&cpus)) : 1;
    const auto memory = read_or_empty("/proc/meminfo");
    host.memory_bytes = meminfo_bytes(memory, "MemTotal");
    host.memory_available_bytes = meminfo_bytes(memory, "MemAvailable");
    utsname name = {};
    if (uname(&name) == 0)
        host.kernel = name.release;
    host.qemu_version = qemu_version();
    host.boot_id = first_line(read_or_empty("/proc/sys/kernel/random/boot_id"));
    return host;
}

GitState git_state(const fs::path &source_dir)
{
    GitState state;
    if (!find_program("git"))
        return state;
    const auto head = run_command({"git", "-C", source_dir.string(), "rev-parse", "HEAD"});
    if (!head.ok())
        return state;
    state.commit = first_line(head.out);
    state.dirty = !run_command({"git", "-C", source_dir.string(), "status", "--porcelain"}).out.empty();
    return state;
}

std::uint64_t free_disk_bytes(const fs::path &path)
{
    auto at = fs::absolute(path);
    while (!fs::exists(at) && at.has_relative_path())
        at = at.parent_path();
    std::error_code error;
    const auto space = fs::space(at, error);
    return error ? 0 : space.available;
}

std::string tool_version(const std::vector<std::string> &argv)
{
    if (argv.empty() || !find_program(argv[0]))
        return {};
    // Some print it on stderr, some call --version an unknown option and print it all the same.
    const auto result = run_command(argv, {.timeout = Seconds(10)});
    return first_line(result.out.empty() ? result.err : result.out);
}

std::string os_release_value(std::string_view text, std::string_view key)
{
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);) {
        if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '=')
            continue;
        auto value = line.substr(key.size() + 1);
        if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0])
            value = value.substr(1, value.size() - 2);
        return value;
    }
    return {};
}

} // namespace daxbench
