// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tree.hpp"

struct archive_entry;

namespace daxfs {

// An archive's entry as a node without links, content and xattrs. Throws for what an
// image cannot hold; `shown` names the entry.
Node node_of(archive_entry *entry, const std::string &shown);

// Its extended attributes, ACLs among them.
std::vector<Xattr> xattrs_of(archive_entry *entry, const std::string &shown);

} // namespace daxfs
