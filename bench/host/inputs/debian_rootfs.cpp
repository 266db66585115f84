// SPDX-License-Identifier: Apache-2.0
#include "debian_rootfs.hpp"

#include <fmt/format.h>

#include "cache.hpp"
#include "debian_mirrors.hpp"

namespace daxbench {

namespace fs = std::filesystem;

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
    // What says when, where and from which mirror it was made.
    argv.push_back("--customize-hook=cd \"$1\" && rm -rf var/log/*.log var/log/apt/* "
                   "var/cache/ldconfig/aux-cache etc/hostname etc/resolv.conf etc/apt/sources.list* && : > "
                   "etc/machine-id");
    for (auto &option : own_apt_options())
        argv.push_back(std::move(option));
    argv.insert(argv.end(), {codename, tar.string()});
    for (auto &source : mirrors_of_release(codename))
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
