// SPDX-License-Identifier: Apache-2.0
#include "debian_mirrors.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "environment.hpp"
#include "process.hpp"

namespace daxbench {

namespace fs = std::filesystem;

namespace {

constexpr const char *debian_keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

std::vector<std::string> split(const std::string &text, char separator)
{
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);)
        parts.push_back(part);
    return parts;
}

std::vector<std::string> own_sources(const std::string &codename)
{
    const auto targets =
        run_checked({"apt-get", "indextargets", "--format",
                     "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(SIGNED_BY)", "Created-By: Packages"});
    auto sources = debian_sources(targets.out, codename);
    if (sources.empty())
        throw std::runtime_error(
            fmt::format("expected a Debian mirror for {} among apt's sources, found none: check "
                        "/etc/apt/sources.list and run `apt-get update`",
                        codename));
    return sources;
}

} // namespace

// The machine's way to its mirrors (proxies, retries) is apt's configuration as well.
std::vector<std::string> own_apt_options()
{
    std::vector<std::string> options;
    std::istringstream dump(run_command({"apt-config", "dump"}).out);
    for (std::string line; std::getline(dump, line);)
        if (line.starts_with("Acquire::http") || line.starts_with("Acquire::https") ||
            line.starts_with("Acquire::Retries"))
            options.push_back("--aptopt=" + line);
    return options;
}

std::vector<std::string> debian_sources(std::string_view index_targets, std::string_view codename)
{
    const std::string name(codename);
    std::vector<std::string> sources;
    for (const auto &line : split(std::string(index_targets), '\n')) {
        const auto fields = split(line, '|');
        if (fields.size() < 4 || fields[0] != "Debian" || fields[3].empty())
            continue;
        const auto &suite = fields[2];
        if (suite != name && suite != name + "-updates" && suite != name + "-security")
            continue;
        // The archive's own keyring where the machine has it; otherwise what apt trusts anyway.
        const auto signed_by =
            fs::exists(debian_keyring) ? fmt::format("[signed-by={}] ", debian_keyring) : std::string();
        auto source = fmt::format("deb {}{} {} {}", signed_by, fields[1], suite, fields[3]);
        if (std::find(sources.begin(), sources.end(), source) == sources.end())
            sources.push_back(std::move(source));
    }
    return sources;
}

std::string debian_codename()
{
    const auto text = read_file("/etc/os-release");
    const auto codename = os_release_value(text, "VERSION_CODENAME");
    if (os_release_value(text, "ID") != "debian" || codename.empty())
        throw std::runtime_error(
            fmt::format("expected a Debian release to make a root filesystem of, this machine is {}: use a "
                        "Debian machine, or leave out this dataset",
                        os_release_value(text, "PRETTY_NAME")));
    return codename;
}

std::vector<std::string> mirrors_of_release(const std::string &release)
{
    const auto codename = debian_codename();
    auto sources = own_sources(codename);
    if (release == codename)
        return sources;
    const auto own = " " + codename + " ";
    std::erase_if(sources, [&](const std::string &line) { return line.find(own) == line.npos; });
    for (auto &line : sources)
        line.replace(line.find(own), own.size(), " " + release + " ");
    return sources;
}

} // namespace daxbench
