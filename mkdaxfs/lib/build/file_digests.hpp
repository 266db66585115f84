// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "digest.hpp"
#include "output.hpp"
#include "sparse.hpp"
#include "tree.hpp"

namespace daxfs {

// The digest table of an image whose file data has been written: one digest for each
// inode, in inode order.
std::string file_digests(const Tree &tree, const std::vector<SparseFile> &sparse, const Output &output,
                         DigestKind kind, const Workers &workers);

} // namespace daxfs
