// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <sys/stat.h>

#include "path_filter.hpp"
#include "tree.hpp"

namespace daxfs {

// Is told what cannot be read, by any thread.
using OnUnreadable = std::function<void(const std::string &failure)>;

// What any change of a file changes: its ctime, in nanoseconds.
std::uint64_t change_stamp(const struct stat &st);

// Read everything but file contents below the directory `root`, several directories
// at a time. What cannot be read is left out when there is someone to tell, else thrown.
// Node::content of a regular file is its change_stamp().
std::unique_ptr<Tree> scan_directory(int root, const PathFilter &filter, const OnUnreadable &unreadable,
                                     const Workers &workers);

} // namespace daxfs
