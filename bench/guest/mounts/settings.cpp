// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <stdexcept>
#include <utility>

#include <sys/mount.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io.hpp"

namespace daxbench {

namespace {

constexpr const char *debugfs = "/sys/kernel/debug";

std::pair<std::string, std::string> parts_of(const std::string &setting)
{
    const auto equals = setting.find('=');
    return {setting.substr(0, equals), setting.substr(equals + 1)};
}

void need(const std::string &file)
{
    if (::access(file.c_str(), W_OK) < 0 && file.starts_with(debugfs))
        ::mount("debugfs", debugfs, "debugfs", 0, nullptr); // whether it helped is seen below
    if (::access(file.c_str(), W_OK) < 0)
        throw std::runtime_error(
            fmt::format("expected the kernel's file {}, this kernel has none that can be written", file));
}

} // namespace

void apply_setting(const std::string &setting)
{
    const auto [file, text] = parts_of(setting);
    need(file);
    write_file(file, text);
    check_setting(setting);
}

void check_setting(const std::string &setting)
{
    const auto [file, text] = parts_of(setting);
    const std::string found(trim(read_file(file)));
    if (found != text)
        throw std::runtime_error(
            fmt::format("expected {} to be '{}', the kernel made it '{}'", file, text, found));
}

} // namespace daxbench
