// SPDX-License-Identifier: Apache-2.0
// A Debian root filesystem of the machine's own release, from the machine's own mirrors.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "process.hpp"

namespace daxbench {

// 2025-01-01 UTC: no file of a dataset is younger, so that equal inputs give equal trees.
constexpr std::chrono::seconds dataset_epoch{1735689600};

// Fills `tree`. `scratch` is a folder for a temporary file of the same size. `as_owner` wraps the
// command that unpacks, so that owners and devices survive without root.
void make_debian_rootfs(const std::vector<std::string> &packages, const std::filesystem::path &tree,
                        const std::filesystem::path &scratch,
                        const std::function<Argv(const Argv &)> &as_owner, const Progress &progress);

} // namespace daxbench
