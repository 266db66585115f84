// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

namespace daxfs {

// The file types' names in all that tools and bench print.
constexpr const char *file_type_name(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return "reg";
    case S_IFDIR: return "dir";
    case S_IFLNK: return "lnk";
    case S_IFCHR: return "chr";
    case S_IFBLK: return "blk";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "sock";
    default: return "unknown";
    }
}

} // namespace daxfs
