// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "path_filter.hpp"
#include "tree.hpp"

namespace daxfs {

// Read everything but file contents below the directory `root`, several directories
// at a time. Throws for the first thing that cannot be read.
std::unique_ptr<Tree> scan_directory(int root, const PathFilter& filter,
                                     const Workers& workers);

}  // namespace daxfs
