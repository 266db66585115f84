// SPDX-License-Identifier: Apache-2.0
// What workloads/datasets and workloads/images declare: what is made before anything is measured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace daxbench {

// `count` directories of `entries` files each.
struct DirectoriesSpec {
    std::uint64_t count = 0;
    std::uint64_t entries = 0;
};

// One [dataset] of workloads/datasets/*.toml.
struct DatasetSpec {
    std::string id;
    std::string kind; // "none" | "debian-rootfs" | "random-file" | "random-files" | "fio-layout" |
                      // "file-tree" | "layers" | "accelerator-data" | "sparse-files" | "tree"
    std::string xxh3; // its hash as Dataset::hash has it, where it must not be another; or ""
    std::vector<std::string> packages;          // debian-rootfs
    std::uint64_t bytes = 0;                    // random-file; layers: of each of their files
    std::uint64_t seed = 0;                     // random-file, random-files
    std::uint64_t layers = 0;                   // layers: how many
    std::uint64_t own = 0;                      // layers: files that no other layer has, in each
    std::uint64_t shared = 0;                   // layers: files whose bytes every layer has, in each
    std::map<std::string, std::uint64_t> files; // random-files, sparse-files: bytes by name
    std::uint64_t data_pages = 0;               // sparse-files: of each, the rest are holes
    std::string path;                           // random-file: name in the tree
    std::filesystem::path job;                  // fio-layout: job file, absolute
    std::filesystem::path source;               // tree: folder, tar archive or OCI image, absolute
    std::vector<DirectoriesSpec> directories;   // file-tree
    std::map<std::string, std::string> tensors; // accelerator-data: "ROWSxCOLUMNS" by name
    std::uint64_t slots = 0;                    // accelerator-data: of the table, a power of two
    std::uint64_t tiny_every = 0; // file-tree: every Nth file contains its own name, the others nothing
};

// A program that the machine's own package may be too old for; fetched privately then.
struct ProgramSpec {
    std::string name;              // e.g. "mkfs.erofs"; what it prints for --version is compared
    std::string at_least;          // version, as dpkg orders them
    std::string package;           // Debian package with it
    std::string release;           // of Debian, where that package is new enough, e.g. "trixie"
    std::vector<std::string> also; // programs of that package that are fetched with it
};

// One file of workloads/images/*.toml.
struct ImageSpec {
    std::string id;
    std::vector<std::string>
        command; // placeholders: {out} {source}, {program}, {programs} and those of Substitutions
    std::vector<std::string> check;     // checks the image {out}, without a word to say; may be empty
    std::optional<ProgramSpec> program; // what {program} stands for; {programs}: its folder
    std::vector<std::string> version;   // prints the tool's version on stdout or stderr; may be empty
    std::uint64_t align = 0;            // the file is padded with zeros to a multiple (virtio-pmem: 2 MiB)
};

} // namespace daxbench
