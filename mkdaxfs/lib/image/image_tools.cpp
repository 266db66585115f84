// SPDX-License-Identifier: Apache-2.0
#include "image_tools.hpp"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

int daxfs_read_inode(const daxfs_image *img, u64 ino, daxfs_attr *attr, daxfs_err *err)
{
    daxfs_inode_record loaded;
    const daxfs_inode *raw = &loaded.raw;
    int ret;

    ret = daxfs_load_inode(img, ino, &loaded, err);
    if (ret)
        return ret;
    attr->node = loaded.node;
    attr->blocks = loaded.blocks;
    attr->mode = le16toh(raw->mode);
    attr->nlink = le32toh(raw->nlink);
    attr->uid = le32toh(raw->uid);
    attr->gid = le32toh(raw->gid);
    attr->parent = le32toh(raw->parent);
    attr->mtime_sec = static_cast<s64>(le64toh(raw->mtime_sec));
    attr->mtime_nsec = le32toh(raw->mtime_nsec);
    attr->rdev_major = 0;
    attr->rdev_minor = 0;
    if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode)) {
        attr->rdev_major = attr->node.data >> 32;
        attr->rdev_minor = static_cast<u32>(attr->node.data);
    }
    return 0;
}

int daxfs_dir_entry(const daxfs_image *img, const daxfs_node *dir, u32 index, daxfs_entry *entry,
                    daxfs_err *err)
{
    daxfs_dir_batch batch;
    int ret;

    ret = daxfs_dir_read(img, dir, index, 1, &batch, err);
    if (ret)
        return ret;
    entry->hash = le32toh(batch.raw[0].hash);
    entry->ino = le32toh(batch.raw[0].ino);
    entry->type = batch.raw[0].type;
    entry->name_len = batch.raw[0].name_len;
    memcpy(entry->name, batch.names, entry->name_len);
    entry->name[entry->name_len] = 0;
    return 0;
}
