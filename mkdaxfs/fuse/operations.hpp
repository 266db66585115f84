// SPDX-License-Identifier: Apache-2.0
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "image_files.hpp"

namespace daxfs {

struct Session {
    ImageFiles files;
    bool checks_access = false; // the kernel goes by modes and ACLs
};

// What a FUSE session does; its data is a Session.
extern const fuse_lowlevel_ops operations;

} // namespace daxfs
