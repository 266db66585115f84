// SPDX-License-Identifier: Apache-2.0
// What the tools want of the image reader beyond what the module needs.
#pragma once

#include "image.h"

// An inode, decoded and checked, as the tools want it.
struct daxfs_attr {
    daxfs_node node;
    u32 mode;
    u32 nlink;
    u32 uid;
    u32 gid;
    u32 rdev_major;
    u32 rdev_minor;
    u32 parent;
    u32 mtime_nsec;
    s64 mtime_sec;
    u64 blocks; // 4 KiB blocks with data behind them
};

// One directory entry, as the tools want it.
struct daxfs_entry {
    u32 hash;
    u32 ino;
    u8 type; // DT_*
    u8 name_len;
    u8 name[DAXFS_NAME_MAX + 1]; // NUL-terminated
};

// Inode ino (1 … inode_count), as daxfs_load_inode() checks it.
int daxfs_read_inode(const daxfs_image *img, u64 ino, daxfs_attr *attr, daxfs_err *err);

// Entry index of a directory by itself, as daxfs_dir_read() checks it.
int daxfs_dir_entry(const daxfs_image *img, const daxfs_node *dir, u32 index, daxfs_entry *entry,
                    daxfs_err *err);
