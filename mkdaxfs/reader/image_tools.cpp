// SPDX-License-Identifier: Apache-2.0
#include "image_tools.hpp"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

namespace {

// CRC32C (Castagnoli, reflected 0x82f63b78), four bits a step.
const u32 crc32c_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

} // namespace

u32 daxfs_crc32c(u32 crc, const void *data, size_t len)
{
    auto p = static_cast<const u8 *>(data);

    crc = ~crc;
    while (len--) {
        crc ^= *p++;
        crc = (crc >> 4) ^ crc32c_nibble[crc & 15];
        crc = (crc >> 4) ^ crc32c_nibble[crc & 15];
    }
    return ~crc;
}

int daxfs_read_inode(const daxfs_image *img, u64 ino, daxfs_attr *attr, daxfs_err *err)
{
    daxfs_loaded loaded;
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
