// SPDX-License-Identifier: Apache-2.0
// Archives through libarchive.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "path_filter.hpp"
#include "spool.hpp"
#include "tree_builder.hpp"
#include "workers.hpp"

namespace daxfs {

// Gives the next bytes of a stream, as many as fit at most; 0 at its end.
using ReadBytes = std::function<std::size_t(std::span<std::byte> to)>;

enum class Whiteouts {
    names,  // ".wh.x" is a file like any other
    apply,  // ".wh.x" removes x, ".wh..wh..opq" all that was below (OCI image layers)
    overlay,  // they become what overlayfs has in their place
};

// Where what is read goes.
struct ArchiveTarget {
    TreeBuilder& builder;
    Spool& spool;
    const PathFilter& filter;
    const Workers& workers;
    Whiteouts whiteouts = Whiteouts::names;
};

// Put an archive's entries over the tree: tar in any dialect, cpio or zip, in any
// compression that needs no other program. `name` is for messages.
void read_archive(const ReadBytes& read, const std::string& name, const ArchiveTarget& target);

// A function that reads a descriptor to its end.
ReadBytes bytes_of(int fd, const std::string& name);

}  // namespace daxfs
