/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The image reader: everything that interprets a DAXFS image.
 *
 * Freestanding C without a kernel call in it, compiled into the module and
 * into the tools' library. The image may be hostile and may change while it is
 * read: every value is copied out once, checked, and only the copy is used.
 */
#ifndef DAXFS_IMAGE_H
#define DAXFS_IMAGE_H

#include "daxfs_format.h"

#ifdef __KERNEL__
#include <linux/crc32c.h>
#include <linux/types.h>

static inline u32 daxfs_crc32c(u32 crc, const void *data, size_t len)
{
	return ~crc32c(~crc, data, len);
}
#else
#include "image_types.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What was wrong, for one message: filled whenever -EUCLEAN is returned. */
struct daxfs_err {
	u64 ino;		/* 0: the superblock */
	const char *field;	/* name as in daxfs_format.h */
	u64 value;		/* what the image said */
};

/* A run inside the image, checked to lie in it. */
struct daxfs_span {
	u64 off;
	u64 len;
};

/*
 * An open image. The geometry was copied from the superblock and checked
 * against the region at open; nothing here is read from the image again.
 */
struct daxfs_image {
	const u8 *base;		/* start of the region in memory */
	u64 size;		/* bytes that may be touched: super.image_size */
	u64 inode_count;
	u64 data_bytes;
	s64 build_sec;
	u32 build_nsec;
	u32 compat;
	u32 incompat;
	u32 metadata_crc;
	u8 digest_kind;
	u8 uuid[16];
	char label[DAXFS_LABEL_MAX + 1];
	u8 root_digest[32];
	struct daxfs_span metadata;
	struct daxfs_span inodes;
	struct daxfs_span dirs;
	struct daxfs_span extents;
	struct daxfs_span symlinks;
	struct daxfs_span xattrs;
	struct daxfs_span digests;
	struct daxfs_span data;
};

/* What has to be remembered of an inode to reach its content later. */
struct daxfs_node {
	u64 ino;
	u64 data;		/* offset of data, list, directory or target */
	u64 size;
	u32 count;		/* extents, or directory entries */
	u32 xattr;		/* 0 none, else offset / 8 + 1 */
	u8 layout;		/* DAXFS_LAYOUT_* */
	u8 bucket_bits;		/* directories */
	u32 entries;		/* directories: offset of the entries in data */
};

/* An inode as the image has it, checked. */
struct daxfs_inode_record {
	struct daxfs_inode raw;
	struct daxfs_node node;
	u64 blocks;		/* 4 KiB blocks with data behind them */
};

/* Where a lookup finds a name, and what. */
#define DAXFS_NO_HINT		0xffffffffU

struct daxfs_dir_hint {
	u32 index;	/* in: where the entry may be, or DAXFS_NO_HINT; out: is */
	u32 ino;
	u8 type;	/* DT_* */
};

/* A run of directory entries, copied out and checked. */
#define DAXFS_BATCH_ENTRIES	16
#define DAXFS_BATCH_NAMES	384

struct daxfs_dir_batch {
	u32 count;	/* entries */
	u32 bytes;	/* of all names */
	struct daxfs_dirent raw[DAXFS_BATCH_ENTRIES];
	u8 names[DAXFS_BATCH_NAMES + 8];	/* one after the other, no NUL */
};

/* Where a byte of a file lies, and how far that goes on. */
struct daxfs_map {
	u64 off;		/* in the image; 0 for a hole */
	u64 len;		/* bytes from the asked offset on, > 0 */
	bool hole;
};

struct daxfs_xattr_entry {
	u8 index;		/* DAXFS_XATTR_* */
	u8 name_len;
	u8 name[DAXFS_NAME_MAX + 1];	/* NUL-terminated, without prefix */
	u32 value_len;
	u64 value;		/* offset in the image */
};

/* Position in an xattr set: start at 0, see daxfs_xattr_next(). */
struct daxfs_xattr_pos {
	u64 off;
	u64 end;
	u32 left;
};

u32 daxfs_name_hash(const u8 *name, size_t len);

/*
 * All functions below return 0 or a negative errno: -EUCLEAN with *err filled
 * for an image that breaks the format, -EIO for memory that cannot be read.
 */

/*
 * Open the image in the region [base, base + size). O(1): only the superblock
 * is read. -EINVAL: no DAXFS image, field "magic". -EOPNOTSUPP: made for a
 * later version or with features unknown here, field "version" or "incompat".
 */
int daxfs_image_open(struct daxfs_image *img, const void *base, u64 size,
		     struct daxfs_err *err);

/* Copy len bytes at off out of the image: the one way any byte is reached. */
int daxfs_image_copy(const struct daxfs_image *img, u64 off, void *to, u64 len);

/* Copy inode ino (1 … inode_count) out and check it. */
int daxfs_load_inode(const struct daxfs_image *img, u64 ino,
		     struct daxfs_inode_record *loaded, struct daxfs_err *err);

/*
 * Find name in a directory; -ENOENT if it is not there. O(log n). The entry at
 * slot->index is tried first: who reads a directory asks for its names in turn.
 */
int daxfs_dir_lookup(const struct daxfs_image *img, const struct daxfs_node *dir,
		     const u8 *name, size_t len, struct daxfs_dir_hint *slot,
		     struct daxfs_err *err);

/*
 * Entries of a directory from index (0 … count - 1) on, in stored order: one at
 * least, max at most, fewer where a batch holds no more.
 */
int daxfs_dir_read(const struct daxfs_image *img, const struct daxfs_node *dir,
		   u32 index, u32 max, struct daxfs_dir_batch *batch,
		   struct daxfs_err *err);

/* Where byte pos (< size) of a regular file lies. O(log extents). */
int daxfs_file_map(const struct daxfs_image *img, const struct daxfs_node *file,
		   u64 pos, struct daxfs_map *map, struct daxfs_err *err);

/* Copy a symlink's target to to[size + 1], NUL-terminated; size ≤ 4095. */
int daxfs_symlink_target(const struct daxfs_image *img,
			 const struct daxfs_node *link, char *to,
			 struct daxfs_err *err);

/* Step through an inode's xattrs: 1 an entry was read, 0 the end. */
int daxfs_xattr_next(const struct daxfs_image *img, const struct daxfs_node *node,
		     struct daxfs_xattr_pos *pos, struct daxfs_xattr_entry *entry,
		     struct daxfs_err *err);

#ifdef __cplusplus
}
#endif

#endif /* DAXFS_IMAGE_H */
