// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace daxbench {

struct SeedCount {
    std::uint64_t entries = 0; // the root included
    std::uint64_t bytes = 0;   // of file data, holes left out
};

/// Copies the tree below FROM into the existing directory TO: content with its holes, owners,
/// modes, times in ns, hard links, symbolic links, devices, xattrs. Throws naming the entry.
SeedCount copy_tree(const std::string &from, const std::string &to);

} // namespace daxbench
