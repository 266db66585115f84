// SPDX-License-Identifier: Apache-2.0
// Archives through libarchive.
#pragma once

#include <string>

#include "input.hpp"
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
};

// Put an archive's entries over the tree: tar in any dialect or cpio, in any
// compression that needs no other program. `name` is for messages.
void read_archive(const ReadBytes &read, const std::string &name, const ArchiveTarget &target);

} // namespace daxfs
