// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <sys/stat.h>

#include "path_filter.hpp"
#include "tree.hpp"

namespace daxfs {

// Is told what cannot be read, by any thread.
using OnUnreadable = std::function<void(const std::string &failure)>;

// The image that is being made: a name in a directory or, where that is empty, a file itself.
struct OwnImage {
    dev_t dev = 0;
    ino_t ino = 0;
    std::string name;
};

struct DirectoryOptions {
    OnUnreadable unreadable =
        {}; // what cannot be read is left out when there is someone to tell, else thrown
    std::optional<OwnImage> own_image = {};                      // is no part of the tree
    std::function<void(const std::string &path)> own_image_left; // told so, by any thread
    bool one_file_system = false;                                // what is mounted below is empty
    bool hard_dereference = false;                               // each name is a file of its own
};

// What any change of a file changes: its ctime, in nanoseconds.
std::uint64_t change_stamp(const struct stat &st);

// A file of the machine as an inode; Node::content is its change_stamp(), a symlink's target is not known
// yet.
Node to_node(const struct stat &st);

// Read everything but file contents below the directory `root`, several directories
// at a time. Node::content of a regular file is its change_stamp().
std::unique_ptr<Tree> scan_directory(int root, const PathFilter &filter, const DirectoryOptions &options,
                                     const Workers &workers);

} // namespace daxfs
