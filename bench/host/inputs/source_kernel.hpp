// SPDX-License-Identifier: Apache-2.0
// Guest kernels built from Debian's source: of a series that this Debian has no package of, with
// one small configuration for all, and with the kernel's checkers on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel.hpp"
#include "process.hpp"

namespace daxbench {

/// "7.3", or "7.3-debug", which has KASAN, lockdep and what else `debug.config` turns on; either with
/// "+FOLDER" for the patches of upstream/FOLDER, applied in the order named.
struct SourceKernelName {
    std::string series;
    bool debug = false;
    std::vector<std::string> patches = {};
};
SourceKernelName source_kernel_name(std::string_view name);

/// The kernel of that name, from `linux-source-SERIES` with the configurations in `configs`, the tree's
/// setup/kernels (base.config, SERIES.config, debug.config), all else off, and the tree's patches. Fetched
/// and built once into the cache: minutes, with the checkers half an hour; with a complete entry apt is not
/// called. Throws one line when the source is not to be had or does not build.
Kernel source_kernel(const SourceKernelName &name, const std::filesystem::path &configs,
                     const Progress &progress);

/// The names that `configs` has configurations for, those with checkers, too.
std::vector<std::string> source_kernel_names(const std::filesystem::path &configs);

/// Is it in the cache? Builds and fetches nothing.
bool has_source_kernel(const SourceKernelName &name, const std::filesystem::path &configs);

/// A kernel by the name that tests use: Debian's package, or from source where the name ends in
/// "-debug" or the series is one of a later Debian only.
Kernel named_kernel(std::string_view name, const std::filesystem::path &configs, const Progress &progress);

// ---- parsers, public for the tests ----

/// The suite a configuration says its source comes from ("# suite: trixie-backports"), or nothing.
std::optional<std::string> suite_of_config(std::string_view config);

/// Options that `wanted` sets and the kernel's .config has otherwise: one line each.
std::string lost_options(std::string_view wanted, std::string_view config);

} // namespace daxbench
