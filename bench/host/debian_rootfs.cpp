// SPDX-License-Identifier: Apache-2.0
#include "debian_rootfs.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "cache.hpp"
#include "dataset.hpp"

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
            fmt::format("wanted a Debian mirror for {} among apt's sources, found none: check "
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
            fmt::format("wanted a Debian release to make a root filesystem of, this machine is {}: use a "
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

void make_debian_rootfs(const std::vector<std::string> &packages, const fs::path &tree,
                        const fs::path &scratch, const std::function<Argv(const Argv &)> &as_owner,
                        const Progress &progress)
{
    const auto codename = debian_codename();
    const auto tar = scratch / "rootfs.tar";
    // As container images are made: no manual pages, no documentation but the licences.
    Argv argv{"mmdebstrap",
              running_as_root() ? "--mode=root" : "--mode=auto",
              "--variant=minbase",
              "--format=tar",
              "--include=" + fmt::format("{}", fmt::join(packages, ",")),
              "--dpkgopt=path-exclude=/usr/share/man/*",
              "--dpkgopt=path-exclude=/usr/share/doc/*",
              "--dpkgopt=path-include=/usr/share/doc/*/copyright"};
    // What says when and where it was made.
    argv.push_back("--customize-hook=cd \"$1\" && rm -rf var/log/*.log var/log/apt/* "
                   "var/cache/ldconfig/aux-cache etc/hostname etc/resolv.conf && : > etc/machine-id");
    for (auto &option : own_apt_options())
        argv.push_back(std::move(option));
    argv.insert(argv.end(), {codename, tar.string()});
    for (auto &source : own_sources(codename))
        argv.push_back(std::move(source));
    progress(fmt::format("installing Debian {} with {}", codename, fmt::join(packages, ", ")));
    // Times younger than this are set to it.
    const auto epoch = std::to_string(dataset_epoch.count());
    run_checked(argv, {.env = {{"SOURCE_DATE_EPOCH", epoch}, {"LC_ALL", "C.UTF-8"}},
                       .timeout = Seconds(1800),
                       .log = Cache::root() / "mmdebstrap.log"});
    run_checked(as_owner({"tar", "--extract", "--file=" + tar.string(), "--directory=" + tree.string(),
                          "--preserve-permissions", "--same-owner", "--numeric-owner", "--xattrs",
                          "--xattrs-include=*"}));
    fs::remove(tar);
}

} // namespace daxbench
