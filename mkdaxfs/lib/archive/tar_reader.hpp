// SPDX-License-Identifier: Apache-2.0
// Archives through libarchive.
#pragma once

#include <string>

#include "input.hpp"
#include "not_kept.hpp"
#include "path_filter.hpp"
#include "spool.hpp"
#include "tree_builder.hpp"
#include "workers.hpp"

namespace daxfs {

enum class Whiteouts {
    names,   // ".wh.x" is a file like any other
    apply,   // ".wh.x" removes x, ".wh..wh..opq" all that was below (OCI image layers)
    overlay, // they become what overlayfs has in their place
};

// Where what is read goes.
struct ArchiveTarget {
    TreeBuilder &builder;
    Spool &spool;
    const PathFilter &filter;
    const Workers &workers;
    Whiteouts whiteouts = Whiteouts::names;
    bool has_digest = false;     // that tells if it was cut, or is more than an archive
    NotKept *not_kept = nullptr; // what the image does not have of it
};

// An archive: a stream, a file, or a stream that is to be read to its end, but whose bytes lie in a file as
// they are. What lies in a file is not copied into the spool.
struct ArchiveInput {
    ArchiveInput(ReadBytes bytes, FilePart file = {}) : read(std::move(bytes)), part(std::move(file)) {}

    ReadBytes read; // none: of a file
    FilePart part;
};

// "-" is not standard input here.
ArchiveInput open_archive(const std::string &path, const std::atomic<bool> *stop);

// Put an archive's entries over the tree: tar in any dialect or cpio, in any
// compression that needs no other program. `name` is for messages.
void read_archive(const ArchiveInput &input, const std::string &name, const ArchiveTarget &target);

} // namespace daxfs
