// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace daxfs {

// openat(2) below a directory for a path of any length ("" is the directory itself).
// -1 and errno on failure.
int open_beneath(int dir, const std::string &path, int flags);

} // namespace daxfs
