// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "xattr_sets.hpp"

namespace daxfs {

// Reads the extended attributes of files on this machine into sets. One for each
// thread, since it owns the buffers.
class DiskXattrs {
public:
    explicit DiskXattrs(XattrSets& sets) : sets_(sets), buffer_(65536) {}

    // The set of the entry `name` of the open directory; a symlink is not followed.
    // Namespaces an image has no index for are left out. 0 when there are none.
    std::uint32_t read(int dir, const char* name, const std::string& dir_path);

private:
    XattrSets& sets_;
    std::vector<char> buffer_;  // 64 KiB: the kernel's limit of a list and of a value
};

}  // namespace daxfs
