/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * DAXFS on-image format, version 1.
 *
 * docs/format.md is the contract; this header is its only spelling in code.
 * All integers are little-endian. All offsets are bytes from the start of the
 * image unless said otherwise.
 */
#ifndef DAXFS_FORMAT_H
#define DAXFS_FORMAT_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

#define DAXFS_ASSERT_SIZE(type, bytes) \
	static_assert(sizeof(type) == (bytes), #type)

#define DAXFS_SB_MAGIC		0x0031534658414400ULL	/* "\0DAXFS1\0" */
#define DAXFS_SUPER_MAGIC	0x44415846		/* statfs f_type, "DAXF" */
#define DAXFS_VERSION		1

#define DAXFS_BLOCK_SHIFT	12	/* file data starts on 4 KiB */
#define DAXFS_BLOCK_SIZE	4096U
#define DAXFS_HUGE_SHIFT	21	/* large file data starts on 2 MiB */
#define DAXFS_HUGE_SIZE		0x200000U

#define DAXFS_SUPER_SIZE	4096	/* bytes kept for the superblock, all under its CRC */
#define DAXFS_NAME_MAX		255
#define DAXFS_SYMLINK_MAX	4095
#define DAXFS_LABEL_MAX		32
#define DAXFS_MAX_FILE_SIZE	0x7fffffffffffffffULL
#define DAXFS_MAJOR_MAX		0xfffU	/* of a device, as the kernel has it */
#define DAXFS_MINOR_MAX		0xfffffU

/* Inode numbers are 1-based indices into the inode table. */
#define DAXFS_ROOT_INO		1

/*
 * Features. A reader ignores unknown compatible bits and must refuse an image
 * with an unknown incompatible bit.
 */
#define DAXFS_COMPAT_DIGESTS		0x00000001U	/* digest table present */
#define DAXFS_COMPAT_SHARED_DATA	0x00000002U	/* inodes share data blocks */
#define DAXFS_COMPAT_ALL	(DAXFS_COMPAT_DIGESTS | DAXFS_COMPAT_SHARED_DATA)

#define DAXFS_INCOMPAT_EXTENTS		0x00000001U	/* some inode has an extent list */
#define DAXFS_INCOMPAT_ALL	DAXFS_INCOMPAT_EXTENTS

/* A run of bytes inside the image. */
struct daxfs_range {
	__le64	off;
	__le64	len;
};

DAXFS_ASSERT_SIZE(struct daxfs_range, 16);

struct daxfs_super {
	__le64	magic;		/* DAXFS_SB_MAGIC */
	__le32	version;	/* DAXFS_VERSION */
	__le32	crc;		/* CRC32C of the 4096 bytes, this field as 0 */
	__le32	compat;		/* DAXFS_COMPAT_* */
	__le32	incompat;	/* DAXFS_INCOMPAT_* */
	__u8	block_shift;	/* DAXFS_BLOCK_SHIFT */
	__u8	huge_shift;	/* DAXFS_HUGE_SHIFT */
	__u8	digest_kind;	/* 0 none, 1 XXH3-128, 2 SHA-256 */
	__u8	pad0;		/* 0 */
	__le32	metadata_crc;	/* CRC32C of [DAXFS_SUPER_SIZE, metadata end) */
	__le64	image_size;	/* bytes, multiple of 4096, ≤ the region */
	__le64	inode_count;	/* records in the inode table, 1 … 2^32 - 1 */
	__le64	root_ino;	/* DAXFS_ROOT_INO */
	__le64	build_sec;	/* seconds since the epoch (signed): birth time */
	__le32	build_nsec;	/* 0 … 999999999 */
	__le32	pad1;		/* 0 */
	struct daxfs_range metadata;	/* all below except data: off is DAXFS_SUPER_SIZE */
	struct daxfs_range inodes;	/* 64-byte aligned, inode_count * 64 bytes */
	struct daxfs_range dirs;	/* directories, each 8-byte aligned */
	struct daxfs_range extents;	/* extent lists, each 8-byte aligned */
	struct daxfs_range symlinks;	/* targets, no padding, no NUL */
	struct daxfs_range xattrs;	/* xattr sets, each 8-byte aligned */
	struct daxfs_range digests;	/* one digest per inode, in order; or empty */
	struct daxfs_range data;	/* file data, 4096-byte aligned, to image_size */
	__le64	data_bytes;	/* sum over files of their size in blocks, bytes */
	__u8	uuid[16];	/* from the content unless given */
	__u8	label[DAXFS_LABEL_MAX];	/* NUL-padded UTF-8 */
	__u8	root_digest[32];	/* of the digest table; 0 without one */
};	/* 0 up to DAXFS_SUPER_SIZE */
DAXFS_ASSERT_SIZE(struct daxfs_super, 288);

/* How struct daxfs_inode::data is to be read. */
#define DAXFS_LAYOUT_FLAT	0	/* data is the offset of size bytes */
#define DAXFS_LAYOUT_EXTENTS	1	/* data is the offset of an extent list */
#define DAXFS_LAYOUT_MASK	0x0003

/*
 * One inode. ctime equals mtime, atime is not kept, birth time is the image's.
 *
 *  type      data                          count
 *  regular   see DAXFS_LAYOUT_*            extents (0 when flat)
 *  directory offset in the image           entries, without "." and ".."
 *  symlink   offset in the image           0
 *  char/blk  device, major << 32 | minor   0
 *  other     0                             0
 *
 * size is the file's length, the symlink target's, or the directory record's
 * bytes (header, buckets, entries and names). An empty regular file is flat
 * with data 0.
 */
struct daxfs_inode {
	__le16	mode;		/* S_IFMT and permissions */
	__le16	flags;		/* DAXFS_LAYOUT_*; other bits 0 */
	__le32	nlink;		/* ≥ 1; directories 2 + subdirectories */
	__le32	uid;
	__le32	gid;
	__le64	size;
	__le64	mtime_sec;	/* signed */
	__le32	mtime_nsec;	/* 0 … 999999999 */
	__le32	xattr;		/* (offset in super.xattrs) / 8 + 1; 0 none */
	__le64	data;
	__le32	count;
	__le32	parent;		/* directories: the parent's ino; else 0 */
	__le64	pad;		/* 0 */
};

DAXFS_ASSERT_SIZE(struct daxfs_inode, 64);

/*
 * A directory: this header, then bucket_count + 1 times __le32 (padded with 0
 * to 8 bytes), then count entries, then their names, one after the other in that order.
 *
 * Entries are sorted by (hash, name bytes as unsigned, shorter first). Bucket b
 * holds the entries whose (hash >> (32 - bucket_bits)) equals b; they are the
 * entries [bucket[b], bucket[b + 1]). bucket_bits 0 means one bucket.
 * "." and ".." are not stored.
 */
struct daxfs_dir {
	__le32	count;		/* equals the inode's count */
	__le32	bucket_bits;	/* 0 … 28 */
};

DAXFS_ASSERT_SIZE(struct daxfs_dir, 8);

struct daxfs_dirent {
	__le32	hash;		/* daxfs_name_hash(name) */
	__le32	ino;
	__le32	name;		/* offset of the name from the directory's start */
	__u8	name_len;	/* 1 … 255 */
	__u8	type;		/* DT_*: 1 fifo 2 chr 4 dir 6 blk 8 reg 10 lnk 12 sock */
	__le16	pad;		/* 0 */
};

DAXFS_ASSERT_SIZE(struct daxfs_dirent, 16);

/*
 * An extent list: this header, then the inode's count of extents sorted by
 * file_off, not overlapping. What no extent covers is a hole and reads as 0.
 */
struct daxfs_extent_list {
	__le64	blocks;		/* 4 KiB blocks with data behind them */
};

DAXFS_ASSERT_SIZE(struct daxfs_extent_list, 8);

struct daxfs_extent {
	__le64	file_off;	/* multiple of 4096 */
	__le64	off;		/* multiple of 4096 */
	__le64	len;		/* bytes > 0, multiple of 4096 */
};

DAXFS_ASSERT_SIZE(struct daxfs_extent, 24);

/*
 * An xattr set: this header, then count entries, each followed by its name
 * (without the prefix the index stands for) and its value, then padding with 0
 * to 4 bytes. Entries are sorted by (index, name). Equal sets are stored once.
 */
struct daxfs_xattr_set {
	__le32	size;		/* bytes of the set, this header included */
	__le32	count;
};

DAXFS_ASSERT_SIZE(struct daxfs_xattr_set, 8);

#define DAXFS_XATTR_USER	1	/* "user." */
#define DAXFS_XATTR_TRUSTED	2	/* "trusted." */
#define DAXFS_XATTR_SECURITY	3	/* "security." */
#define DAXFS_XATTR_ACL_ACCESS	4	/* "system.posix_acl_access", no name */
#define DAXFS_XATTR_ACL_DEFAULT	5	/* "system.posix_acl_default", no name */

struct daxfs_xattr {
	__u8	index;		/* DAXFS_XATTR_* */
	__u8	name_len;
	__le16	pad;		/* 0 */
	__le32	value_len;	/* ≤ 65536 */
};

DAXFS_ASSERT_SIZE(struct daxfs_xattr, 8);

#endif /* DAXFS_FORMAT_H */
