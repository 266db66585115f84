// SPDX-License-Identifier: Apache-2.0
// Trees that images are made of: made once, cached, each with a manifest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "input_specs.hpp"
#include "process.hpp"

namespace daxbench {

struct Dataset {
    std::string id;
    std::string hash;          // XXH3-128 of the manifest without links of directories: what the tree is
    std::filesystem::path dir; // the tree
    std::filesystem::path manifest_path;  // one JSON object a line, see bench/protocol/manifest.hpp
    std::filesystem::path fakeroot_state; // non-root only: owners and devices of the tree
    std::uint64_t data_bytes = 0;         // Σ over distinct regular inodes of size rounded up to 4096
    std::uint64_t distinct_bytes = 0;     // the same over distinct contents
    std::uint64_t bytes = 0;              // Σ over distinct regular inodes of size
    std::uint64_t entries = 0;            // names, the root included
    std::vector<std::string> packages;    // "bash 5.2.15-2", where the tree has a dpkg database
};

// What a guest that read all of it has read (content_digest() of manifest.hpp).
std::string digest_of(const Dataset &dataset);

// The file that a mount is proved by: a path in the tree, or "large" for the largest.
std::string probe_file_of(const DatasetSpec &spec);

// Made, unless the cache has it. Throws where its hash is not the one that its declaration names.
Dataset ensure_dataset(const DatasetSpec &spec, const Progress &progress);

// Prefix for a command that reads or writes the dataset's tree: nothing for root, otherwise
// fakeroot with the dataset's state.
Argv dataset_command(const Dataset &dataset, const Argv &argv);

} // namespace daxbench
