// SPDX-License-Identifier: Apache-2.0
// The command line of mkdaxfs.
#pragma once

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "build_image.hpp"
#include "inputs.hpp"
#include "path_filter.hpp"
#include "physical_range.hpp"

namespace daxfs {

struct MkfsOptions {
    std::string image; // a file, a block device or a device-dax device, or - for standard output
    std::string device;
    std::string phys;
    PhysicalRange range; // what phys says
    std::string heap;
    std::string directory;            // where the heap's buffer is mounted
    std::vector<std::string> sources; // directories
    std::vector<std::string> tar;
    std::string layer;
    std::vector<std::string> oci;
    std::string platform;
    std::vector<std::string> text;
    std::vector<std::string> list;
    std::vector<std::string> files_from;
    std::string label;
    std::string uuid;
    std::vector<std::string> exclude;
    std::vector<std::string> exclude_from;
    std::vector<std::string> exclude_regex;
    PathFilter filter; // what these three say
    std::string file_contexts;
    std::vector<std::string> rules;
    std::string order;
    std::string digest;
    BuildOptions build;
    // More than cores: where files come from a disk, most of them wait for it.
    unsigned threads = std::max(16u, std::thread::hardware_concurrency());
    bool all_root = false;
    bool no_dedupe = false;
    bool no_sync = false;
    bool keep_going = false;
    bool one_file_system = false;
    bool hard_dereference = false;
    bool layers = false;
    bool quiet = false;
    bool json = false;
    bool force = false;

    // Is the target named by an option? The first argument is a source then.
    bool has_target() const { return !device.empty() || !phys.empty() || !heap.empty(); }
    std::size_t directories() const { return sources.size() + (has_target() && !image.empty() ? 1 : 0); }
    std::size_t other_sources() const
    {
        return tar.size() + oci.size() + text.size() + list.size() + files_from.size();
    }
    bool to_standard_output() const { return image == "-" && !has_target(); }
};

void declare(CLI::App &app, MkfsOptions &options);
// What CLI11 does not check by itself, and the files that options name. Throws CLI::ValidationError.
void complete(const CLI::App &app, MkfsOptions &options, Inputs &inputs);

} // namespace daxfs
