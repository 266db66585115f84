// SPDX-License-Identifier: Apache-2.0
// A directory as it lies in the image: struct daxfs_dir and what follows it.
#pragma once

#include <cstdint>
#include <string>

#include "tree.hpp"

namespace daxfs {

std::uint64_t directory_record_size(const Tree &tree, const Node &dir);
std::string directory_record(const Tree &tree, const Node &dir);

} // namespace daxfs
