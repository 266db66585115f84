// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "xattr_sets.hpp"

namespace daxfs {

// Reads the extended attributes of files on this machine into sets. One for each
// thread, since it owns the buffers.
class DiskXattrs {
public:
    explicit DiskXattrs(XattrSets &sets) : sets_(sets), buffer_(65536) {}

    // Give the calling thread, which must be the only one to use this, a working directory
    // of its own where that is allowed: then names need no detour over /proc.
    void own_working_directory();
    // What is read next are entries of this open directory.
    void enter(int dir);

    // The set of the entry `name` of the open directory (the one entered, if one was); a symlink is not
    // followed. Namespaces an image has no index for are left out. 0 when there are none.
    std::uint32_t read(int dir, const char *name, const std::string &dir_path);
    // The same of what a path of the machine names.
    std::uint32_t read(const std::string &path);

private:
    std::uint32_t read_at(const char *path, const std::function<std::string()> &shown);

    bool owns_directory_ = false;
    bool is_inside_ = false;
    XattrSets &sets_;
    std::vector<char> buffer_; // 64 KiB: the kernel's limit of a list and of a value
};

} // namespace daxfs
