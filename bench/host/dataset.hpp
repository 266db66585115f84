// SPDX-License-Identifier: Apache-2.0
// Trees that images are made of: made once, cached, each with a manifest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "process.hpp"

namespace daxbench {

// `count` directories of `entries` files each.
struct DirectoriesSpec {
    std::uint64_t count = 0;
    std::uint64_t entries = 0;
};

// One [dataset] of workloads/datasets/*.toml.
struct DatasetSpec {
    std::string id;
    std::string kind;                         // "debian-rootfs" | "random-file" | "fio-layout" | "file-tree"
    std::vector<std::string> packages;        // debian-rootfs
    std::uint64_t bytes = 0;                  // random-file
    std::uint64_t seed = 0;                   // random-file
    std::string path;                         // random-file: name in the tree
    std::filesystem::path job;                // fio-layout: job file, absolute
    std::vector<DirectoriesSpec> directories; // file-tree
    std::uint64_t tiny_every = 0; // file-tree: each so many-th file holds its name, others nothing
};

struct Dataset {
    std::string id;
    std::string hash;                     // XXH3-128 of the manifest: what the tree is
    std::filesystem::path dir;            // the tree
    std::filesystem::path manifest_path;  // one JSON object a line, see bench/common/manifest.hpp
    std::filesystem::path fakeroot_state; // non-root only: owners and devices of the tree
    std::uint64_t data_bytes = 0;         // Σ over distinct regular inodes of size rounded up to 4096
    std::uint64_t bytes = 0;              // Σ over distinct regular inodes of size
    std::uint64_t entries = 0;            // names, the root included
};

// The file that a mount is proved by: a path in the tree, or "large" for the largest.
std::string probe_file_of(const DatasetSpec &spec);

// Where a dataset is, or will be. Throws for an unknown kind.
std::filesystem::path dataset_cache_dir(const DatasetSpec &spec);
Dataset ensure_dataset(const DatasetSpec &spec, const Progress &progress);

// Prefix for a command that reads or writes the dataset's tree: nothing for root, otherwise
// fakeroot with the dataset's state.
Argv dataset_command(const Dataset &dataset, const Argv &argv);

// ---- parsers, public for the tests ----

// Value of KEY in /etc/os-release text, unquoted; "" when it is not there.
std::string os_release_value(std::string_view text, std::string_view key);

// Lines of `apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(SIGNED_BY)'`
// → sources.list lines for the origin Debian and the suites of `codename` (CODENAME itself,
// -updates, -security), each once, in order.
std::vector<std::string> debian_sources(std::string_view index_targets, std::string_view codename);

} // namespace daxbench
