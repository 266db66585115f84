// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tar_headers.hpp"
#include "tree.hpp"

struct archive_entry;

namespace daxfs {

struct EntryMetadata {
    Node node; // without links, content and xattrs
    std::vector<Xattr> xattrs;
};

// What an archive says of an entry, of a tar with what its own headers say. Throws for what an image cannot
// hold; `shown` names the entry, also for what is not kept.
EntryMetadata metadata_of(archive_entry *entry, const TarEntry *tar, const std::string &shown,
                          NotKept &not_kept);

} // namespace daxfs
