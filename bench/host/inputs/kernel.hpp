// SPDX-License-Identifier: Apache-2.0
// The guest's kernel: Debian's package in the cache, or files the user points to. Nothing is ever
// installed on the host: installing linux-image rebuilds its initramfs and boot menu.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "process.hpp"

namespace daxbench {

struct Kernel {
    std::string release; // uname -r, e.g. "6.12.117+deb12-amd64"
    std::string package; // "linux-image-6.12.117+deb12-amd64", "" for a user's kernel
    std::string version; // of the package, "6.12.117-1~deb12u1", or ""
    std::filesystem::path vmlinuz;
    // The ELF kernel inside vmlinuz when it can be booted directly (PVH), or empty: without
    // decompressing in the guest a TCG guest is up a second earlier.
    std::filesystem::path vmlinux;
    std::filesystem::path config;      // its configuration, or empty where it is not known
    std::filesystem::path modules_dir; // …/lib/modules/RELEASE with modules.dep
    std::filesystem::path headers_dir; // folder to build modules against, or empty
};

// Debian's kernel for a version pattern ("6.12"; "" means the default one of this Debian), headers
// included. Cached: with a complete entry apt is not called.
Kernel fetch_debian_kernel(std::string_view pattern, const Progress &progress);

// Packages of the machine's Debian, fetched and unpacked below `root`; nothing is installed.
void unpack_debian_packages(const std::vector<std::string> &packages, const std::filesystem::path &root,
                            const Progress &progress);

// A kernel of the user's. `modules`: …/lib/modules/RELEASE, or a folder that holds
// lib/modules/RELEASE. `headers` may be empty.
Kernel user_kernel(const std::filesystem::path &vmlinuz, const std::filesystem::path &modules,
                   const std::filesystem::path &headers);

// ---- parsers, public for the tests ----

// `apt-cache depends` or the Depends field of `apt-cache show` → the packages named whose name
// matches an extended regular expression, in order, without versions and alternatives.
std::vector<std::string> dependencies_matching(std::string_view depends, const std::string &regex);

// "linux-image-6.12.117+deb12-amd64" → "6.12.117+deb12-amd64"; nothing for meta packages
// ("linux-image-amd64", "linux-image-6.12-amd64"), -unsigned, -dbg and others.
std::optional<std::string> release_of_image_package(std::string_view package);

// The release a bzImage carries in its header (offset 0x20e), or nothing.
std::optional<std::string> release_of_bzimage(const std::filesystem::path &vmlinuz);

// The ELF kernel inside a bzImage, decompressed; "" when there is none or it has no PVH entry.
std::string vmlinux_of_bzimage(std::string_view bzimage, const std::string &name);

// Text of Debian's headers Makefile with its absolute /usr/src prefix replaced.
std::string relocated_makefile(std::string_view makefile, const std::filesystem::path &root);

} // namespace daxbench
