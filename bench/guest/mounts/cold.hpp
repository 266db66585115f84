// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace daxbench {

/// As cold as TARGET gets: drops caches and, unless page cache is its data, mounts it again. Nothing
/// on it may be open. Dropping alone keeps the inodes that have DAX entries in their mapping; what that
/// does to a walk of EROFS-DAX is in docs/measuring.md.
void make_cold(const std::string &target);

} // namespace daxbench
