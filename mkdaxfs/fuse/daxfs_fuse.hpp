// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace daxfs {

// The tool daxfs-fuse: mounts an image through FUSE and serves it until it is unmounted or a signal comes.
// Exit status: 0, 1 it could not be mounted, 2 wrong usage.
int daxfs_fuse_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err);

} // namespace daxfs
