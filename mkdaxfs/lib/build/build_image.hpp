// SPDX-License-Identifier: Apache-2.0
// From a tree source to an image file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "output.hpp"
#include "rules.hpp"
#include "source.hpp"
#include "uuid.hpp"

namespace daxfs {

struct BuildOptions {
    std::optional<std::string> label;         // at most 32 bytes; else the source's
    std::optional<Uuid> uuid;                 // else made from the content
    std::optional<std::int64_t> build_time;   // else the newest mtime, whole seconds
    std::optional<std::int64_t> mtime;        // of everything; else the source's
    std::optional<std::int64_t> newest_mtime; // what is newer gets this time
    std::optional<std::uint32_t> uid;         // of everything; else the source's
    std::optional<std::uint32_t> gid;
    std::int64_t uid_offset = 0; // added to the source's; one outside 0 ... 2^32 - 2 fails
    std::int64_t gid_offset = 0;
    Rules rules;                            // applied when all else is
    std::vector<std::string> xattr_exclude; // globs for full names
    bool keep_opaque = false;               // but not for what marks a directory of a layer as opaque
    // SELinux label of a path ("/" in front) with this mode; "" for none.
    std::function<std::string(const std::string &path, std::uint32_t mode)> label_of;
    bool sync = true;              // write to the medium before the image gets its name
    std::uint64_t align = 2 << 20; // power of two, 4 KiB ... 1 GiB
    bool dedupe = true;
    std::vector<std::string> order;   // paths of files whose data goes first
    std::optional<DigestKind> digest; // of every file's data; else none
};

// Sizes in bytes.
struct BuildSummary {
    std::uint64_t inodes = 0;
    std::uint64_t files = 0;
    std::uint64_t directories = 0;
    std::uint64_t symlinks = 0;
    std::uint64_t image_bytes = 0;
    std::uint64_t metadata_bytes = 0;
    std::uint64_t file_bytes = 0;    // Σ of file sizes
    std::uint64_t data_bytes = 0;    // Σ of file sizes in 4 KiB blocks, without holes
    std::uint64_t shared_bytes = 0;  // saved by storing equal files once
    std::uint64_t hole_bytes = 0;    // saved by holes
    std::uint64_t padding_bytes = 0; // lost to alignment
    std::uint64_t ordered_files = 0; // that BuildOptions::order names
    std::uint64_t unknown_files = 0; // its paths that name none
    std::uint64_t left_out = 0;      // that could not be read, where that is no failure
    Uuid uuid = {};
    std::string label;
    DigestKind digest = DigestKind::none;
    std::string root_digest; // of all the digests
};

// The superblock is written last. The output is opened once the source has been read through and
// its metadata planned.
BuildSummary build_image(TreeSource &source, const OpenOutput &open, const BuildOptions &options,
                         const Workers &workers);

// Writes the image aside and renames it to path: on any failure path is untouched.
BuildSummary build_image(TreeSource &source, const std::string &path, const BuildOptions &options,
                         const Workers &workers);

} // namespace daxfs
