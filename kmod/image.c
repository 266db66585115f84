// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The image reader. See image.h for the contract of each function.
 */
#include "image.h"

#ifdef __KERNEL__
#include <linux/align.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/byteorder.h>
#else
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define le16_to_cpu(x)		((u16)(x))
#define le32_to_cpu(x)		((u32)(x))
#define le64_to_cpu(x)		((u64)(x))
#else
#error "DAXFS tools need a little-endian machine"
#endif

#define U32_MAX			UINT32_MAX
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN(x, a)		(((x) + (a) - 1) & ~((a) - 1))
#define IS_ALIGNED(x, a)	(((x) & ((a) - 1)) == 0)

/* The barrier keeps the compiler from reading the image a second time. */
static unsigned long copy_mc_to_kernel(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ __volatile__("" ::: "memory");
	return 0;
}
#endif

#define DAXFS_NSEC_MAX		999999999U
#define DAXFS_BUCKET_BITS_MAX	28
#define DAXFS_XATTR_VALUE_MAX	65536U

/* CRC32C (Castagnoli, reflected 0x82f63b78), four bits a step. */
static const u32 crc32c_nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
	0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

/**
 * daxfs_crc32c - CRC32C of a buffer
 * @crc: 0, or the result for the bytes before
 * @data: the bytes
 * @len: how many
 */
u32 daxfs_crc32c(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		crc = (crc >> 4) ^ crc32c_nibble[crc & 15];
		crc = (crc >> 4) ^ crc32c_nibble[crc & 15];
	}
	return ~crc;
}

#define DAXFS_HASH_MUL	0x9e3779b97f4a7c15ULL

static u64 hash_step(u64 h, u64 word)
{
	h = (h ^ word) * DAXFS_HASH_MUL;
	return h ^ (h >> 32);
}

/**
 * daxfs_name_hash - hash of a file name, part of the format
 * @name: the bytes, without a NUL
 * @len: how many, 1 … 255
 */
u32 daxfs_name_hash(const u8 *name, size_t len)
{
	u64 h = len;
	__le64 word;

	while (len >= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		h = hash_step(h, le64_to_cpu(word));
		name += sizeof(word);
		len -= sizeof(word);
	}
	if (len) {
		u64 tail = 0;

		while (len--)
			tail = tail << 8 | name[len];
		h = hash_step(h, tail);
	}
	return (h * DAXFS_HASH_MUL) >> 32;
}

static int bad(struct daxfs_err *err, u64 ino, const char *field, u64 value)
{
	err->ino = ino;
	err->field = field;
	err->value = value;
	return -EUCLEAN;
}

/* Does [off, off + len) lie in the span? No sum here can wrap. */
static bool span_holds(const struct daxfs_span *span, u64 off, u64 len)
{
	return off >= span->off && len <= span->len &&
	       off - span->off <= span->len - len;
}

int daxfs_image_copy(const struct daxfs_image *img, u64 off, void *to, u64 len)
{
	if (unlikely(len > img->size || off > img->size - len))
		return -EUCLEAN;
	if (unlikely(copy_mc_to_kernel(to, img->base + off, len)))
		return -EIO;
	return 0;
}

/* As above, for a copy that belongs to an inode's field. */
static int copy_field(const struct daxfs_image *img, u64 off, void *to, u64 len,
		      u64 ino, const char *field, struct daxfs_err *err)
{
	int ret = daxfs_image_copy(img, off, to, len);

	return unlikely(ret == -EUCLEAN) ? bad(err, ino, field, off) : ret;
}

/* The metadata ranges of the superblock, in order, and where each one goes. */
static const struct {
	const char *name;
	size_t from;
	size_t to;
	u64 align;
	bool in_metadata;
} super_ranges[] = {
#define RANGE(field, align, in) \
	{ #field, offsetof(struct daxfs_super, field), \
	  offsetof(struct daxfs_image, field), align, in }
	RANGE(metadata, DAXFS_SUPER_SIZE, false),
	RANGE(inodes, 64, true),
	RANGE(dirs, 8, true),
	RANGE(extents, 8, true),
	RANGE(symlinks, 1, true),
	RANGE(xattrs, 8, true),
	RANGE(digests, 8, true),
	RANGE(data, DAXFS_BLOCK_SIZE, false),
#undef RANGE
};

static int open_ranges(struct daxfs_image *img, const struct daxfs_super *sb,
		       struct daxfs_err *err)
{
	const struct daxfs_span whole = {
		.off = DAXFS_SUPER_SIZE,
		.len = img->size - DAXFS_SUPER_SIZE,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(super_ranges); i++) {
		const struct daxfs_range *from =
			(const void *)((const u8 *)sb + super_ranges[i].from);
		struct daxfs_span *to =
			(void *)((u8 *)img + super_ranges[i].to);
		const struct daxfs_span *outer =
			super_ranges[i].in_metadata ? &img->metadata : &whole;

		to->off = le64_to_cpu(from->off);
		to->len = le64_to_cpu(from->len);
		if (!to->len)
			continue;
		if (!IS_ALIGNED(to->off, super_ranges[i].align) ||
		    !span_holds(outer, to->off, to->len))
			return bad(err, 0, super_ranges[i].name, to->off);
	}
	return 0;
}

/*
 * CRC of the superblock: of the copied fields, then of the padding behind them,
 * in pieces that fit on a kernel stack.
 */
static int super_crc(const struct daxfs_image *img, struct daxfs_super *head,
		     u32 *crc)
{
	u8 chunk[128];
	size_t off;
	int ret;

	head->crc = 0;
	*crc = daxfs_crc32c(0, head, sizeof(*head));
	for (off = sizeof(*head); off < DAXFS_SUPER_SIZE; off += sizeof(chunk)) {
		size_t len = DAXFS_SUPER_SIZE - off;

		if (len > sizeof(chunk))
			len = sizeof(chunk);
		ret = daxfs_image_copy(img, off, chunk, len);
		if (ret)
			return ret;
		*crc = daxfs_crc32c(*crc, chunk, len);
	}
	return 0;
}

int daxfs_image_open(struct daxfs_image *img, const void *base, u64 size,
		     struct daxfs_err *err)
{
	struct daxfs_super super, *sb = &super;
	u32 crc, want;
	int ret;

	memset(img, 0, sizeof(*img));
	img->base = base;
	img->size = size;
	if (size < DAXFS_SUPER_SIZE) {
		bad(err, 0, "image_size", size);
		return -EINVAL;
	}
	ret = copy_field(img, 0, sb, sizeof(*sb), 0, "magic", err);
	if (ret)
		return ret;

	if (le64_to_cpu(sb->magic) != DAXFS_SB_MAGIC) {
		bad(err, 0, "magic", le64_to_cpu(sb->magic));
		return -EINVAL;
	}
	if (le32_to_cpu(sb->version) != DAXFS_VERSION) {
		bad(err, 0, "version", le32_to_cpu(sb->version));
		return -EOPNOTSUPP;
	}
	img->compat = le32_to_cpu(sb->compat);
	img->incompat = le32_to_cpu(sb->incompat);
	if (img->incompat & ~DAXFS_INCOMPAT_ALL) {
		bad(err, 0, "incompat", img->incompat);
		return -EOPNOTSUPP;
	}
	want = le32_to_cpu(sb->crc);
	ret = super_crc(img, sb, &crc);
	if (ret)
		return ret;
	if (crc != want)
		return bad(err, 0, "crc", want);

	if (sb->block_shift != DAXFS_BLOCK_SHIFT)
		return bad(err, 0, "block_shift", sb->block_shift);
	img->size = le64_to_cpu(sb->image_size);
	if (img->size > size || img->size < DAXFS_SUPER_SIZE ||
	    !IS_ALIGNED(img->size, (u64)DAXFS_BLOCK_SIZE))
		return bad(err, 0, "image_size", img->size);
	img->inode_count = le64_to_cpu(sb->inode_count);
	if (!img->inode_count || img->inode_count > U32_MAX)
		return bad(err, 0, "inode_count", img->inode_count);
	if (le64_to_cpu(sb->root_ino) != DAXFS_ROOT_INO)
		return bad(err, 0, "root_ino", le64_to_cpu(sb->root_ino));
	img->build_sec = (s64)le64_to_cpu(sb->build_sec);
	img->build_nsec = le32_to_cpu(sb->build_nsec);
	if (img->build_nsec > DAXFS_NSEC_MAX)
		return bad(err, 0, "build_nsec", img->build_nsec);
	img->data_bytes = le64_to_cpu(sb->data_bytes);
	img->metadata_crc = le32_to_cpu(sb->metadata_crc);
	img->digest_kind = sb->digest_kind;
	memcpy(img->uuid, sb->uuid, sizeof(img->uuid));
	memcpy(img->label, sb->label, DAXFS_LABEL_MAX);
	memcpy(img->root_digest, sb->root_digest, sizeof(img->root_digest));

	ret = open_ranges(img, sb, err);
	if (ret)
		return ret;
	if (img->inodes.len != img->inode_count * sizeof(struct daxfs_inode))
		return bad(err, 0, "inodes", img->inodes.len);
	return 0;
}

/* Directory record: where the entries start, given bucket_bits. */
static u64 dir_entries_off(const struct daxfs_node *dir)
{
	u64 buckets = (1ULL << dir->bucket_bits) + 1;

	return dir->data + sizeof(struct daxfs_dir) +
	       ALIGN(buckets * sizeof(__le32), 8ULL);
}

static int open_dir(const struct daxfs_image *img, struct daxfs_node *dir,
		    struct daxfs_err *err)
{
	struct daxfs_dir head;
	u32 count, bits;
	int ret;

	if (!IS_ALIGNED(dir->data, 8) || dir->size > U32_MAX ||
	    dir->size < sizeof(head) ||
	    !span_holds(&img->dirs, dir->data, dir->size))
		return bad(err, dir->ino, "data", dir->data);
	ret = copy_field(img, dir->data, &head, sizeof(head), dir->ino, "data", err);
	if (ret)
		return ret;
	count = le32_to_cpu(head.count);
	bits = le32_to_cpu(head.bucket_bits);
	if (count != dir->count)
		return bad(err, dir->ino, "count", count);
	if (bits > DAXFS_BUCKET_BITS_MAX)
		return bad(err, dir->ino, "bucket_bits", bits);
	dir->bucket_bits = bits;
	/* Neither side can wrap: both are below 2^38. */
	if (dir_entries_off(dir) - dir->data +
	    (u64)count * sizeof(struct daxfs_dirent) > dir->size)
		return bad(err, dir->ino, "size", dir->size);
	return 0;
}

static int open_regular(const struct daxfs_image *img, struct daxfs_attr *attr,
			struct daxfs_err *err)
{
	struct daxfs_node *node = &attr->node;
	struct daxfs_extent_list list;
	u64 bytes;
	int ret;

	if (node->size > DAXFS_MAX_FILE_SIZE)
		return bad(err, node->ino, "size", node->size);
	if (node->layout == DAXFS_LAYOUT_FLAT) {
		if (!node->size)
			return 0;
		bytes = ALIGN(node->size, (u64)DAXFS_BLOCK_SIZE);
		if (!IS_ALIGNED(node->data, (u64)DAXFS_BLOCK_SIZE) ||
		    !span_holds(&img->data, node->data, bytes))
			return bad(err, node->ino, "data", node->data);
		attr->blocks = bytes >> DAXFS_BLOCK_SHIFT;
		return 0;
	}

	bytes = sizeof(list) + (u64)node->count * sizeof(struct daxfs_extent);
	if (!IS_ALIGNED(node->data, 8) ||
	    !span_holds(&img->extents, node->data, bytes))
		return bad(err, node->ino, "data", node->data);
	ret = copy_field(img, node->data, &list, sizeof(list), node->ino, "data", err);
	if (ret)
		return ret;
	attr->blocks = le64_to_cpu(list.blocks);
	if (attr->blocks > img->data.len >> DAXFS_BLOCK_SHIFT)
		return bad(err, node->ino, "blocks", attr->blocks);
	return 0;
}

/* The part of an inode whose meaning depends on its type. */
static int open_type(const struct daxfs_image *img, struct daxfs_attr *attr,
		     struct daxfs_err *err)
{
	struct daxfs_node *node = &attr->node;

	switch (attr->mode & S_IFMT) {
	case S_IFREG:
		return open_regular(img, attr, err);
	case S_IFDIR:
		if (!attr->parent || attr->parent > img->inode_count)
			return bad(err, node->ino, "parent", attr->parent);
		return open_dir(img, node, err);
	case S_IFLNK:
		if (!node->size || node->size > DAXFS_SYMLINK_MAX)
			return bad(err, node->ino, "size", node->size);
		if (!span_holds(&img->symlinks, node->data, node->size))
			return bad(err, node->ino, "data", node->data);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		attr->rdev_major = node->data >> 32;
		attr->rdev_minor = (u32)node->data;
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return bad(err, node->ino, "mode", attr->mode);
	}
}

int daxfs_read_inode(const struct daxfs_image *img, u64 ino,
		     struct daxfs_attr *attr, struct daxfs_err *err)
{
	struct daxfs_node *node = &attr->node;
	struct daxfs_inode raw;
	u16 flags;
	int ret;

	if (unlikely(!ino || ino > img->inode_count))
		return bad(err, ino, "ino", ino);
	ret = copy_field(img, img->inodes.off + (ino - 1) * sizeof(raw), &raw,
			 sizeof(raw), ino, "ino", err);
	if (ret)
		return ret;

	flags = le16_to_cpu(raw.flags);
	node->ino = ino;
	node->data = le64_to_cpu(raw.data);
	node->size = le64_to_cpu(raw.size);
	node->count = le32_to_cpu(raw.count);
	node->xattr = le32_to_cpu(raw.xattr);
	node->layout = flags & DAXFS_LAYOUT_MASK;
	node->bucket_bits = 0;
	attr->mode = le16_to_cpu(raw.mode);
	attr->nlink = le32_to_cpu(raw.nlink);
	attr->uid = le32_to_cpu(raw.uid);
	attr->gid = le32_to_cpu(raw.gid);
	attr->parent = le32_to_cpu(raw.parent);
	attr->mtime_sec = (s64)le64_to_cpu(raw.mtime_sec);
	attr->mtime_nsec = le32_to_cpu(raw.mtime_nsec);
	attr->rdev_major = 0;
	attr->rdev_minor = 0;
	attr->blocks = 0;

	if (flags > DAXFS_LAYOUT_EXTENTS)
		return bad(err, ino, "flags", flags);
	if (!attr->nlink)
		return bad(err, ino, "nlink", attr->nlink);
	if (attr->mtime_nsec > DAXFS_NSEC_MAX)
		return bad(err, ino, "mtime_nsec", attr->mtime_nsec);
	return open_type(img, attr, err);
}

/* One directory entry without its name, checked. */
static int read_dirent(const struct daxfs_image *img,
		       const struct daxfs_node *dir, u32 index,
		       struct daxfs_entry *entry, u64 *name,
		       struct daxfs_err *err)
{
	struct daxfs_dirent raw;
	int ret;

	ret = copy_field(img, dir_entries_off(dir) + (u64)index * sizeof(raw),
			 &raw, sizeof(raw), dir->ino, "dirent", err);
	if (ret)
		return ret;
	entry->hash = le32_to_cpu(raw.hash);
	entry->ino = le32_to_cpu(raw.ino);
	entry->type = raw.type;
	entry->name_len = raw.name_len;
	*name = le32_to_cpu(raw.name);
	if (unlikely(!entry->ino || entry->ino > img->inode_count))
		return bad(err, dir->ino, "dirent.ino", entry->ino);
	if (unlikely(!entry->name_len || *name > dir->size ||
		     dir->size - *name < entry->name_len))
		return bad(err, dir->ino, "dirent.name", *name);
	*name += dir->data;
	return 0;
}

/* Order of the wanted (hash, name) against an entry's: <0, 0, >0. */
static int compare_entry(const struct daxfs_image *img,
			 const struct daxfs_node *dir, u32 index, u32 hash,
			 const u8 *name, size_t len, struct daxfs_entry *entry,
			 int *order, struct daxfs_err *err)
{
	size_t common;
	u64 at;
	int ret;

	ret = read_dirent(img, dir, index, entry, &at, err);
	if (ret)
		return ret;
	if (hash != entry->hash) {
		*order = hash < entry->hash ? -1 : 1;
		return 0;
	}
	ret = copy_field(img, at, entry->name, entry->name_len, dir->ino,
			 "dirent.name", err);
	if (ret)
		return ret;
	common = len < entry->name_len ? len : entry->name_len;
	*order = memcmp(name, entry->name, common);
	if (!*order)
		*order = (int)len - (int)entry->name_len;
	return 0;
}

int daxfs_dir_lookup(const struct daxfs_image *img, const struct daxfs_node *dir,
		     const u8 *name, size_t len, u32 *ino, u8 *type,
		     struct daxfs_err *err)
{
	u32 hash = daxfs_name_hash(name, len);
	/* A shift by 32 is undefined, so shift the wider type. */
	u64 bucket = (u64)hash >> (32 - dir->bucket_bits);
	struct daxfs_entry entry;
	__le32 bounds[2];
	u32 low, high;
	int ret;

	ret = copy_field(img, dir->data + sizeof(struct daxfs_dir) +
			 bucket * sizeof(__le32), bounds, sizeof(bounds),
			 dir->ino, "bucket", err);
	if (ret)
		return ret;
	low = le32_to_cpu(bounds[0]);
	high = le32_to_cpu(bounds[1]);
	if (unlikely(low > high || high > dir->count))
		return bad(err, dir->ino, "bucket", high);

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		int order;

		ret = compare_entry(img, dir, mid, hash, name, len, &entry,
				    &order, err);
		if (ret)
			return ret;
		if (!order) {
			*ino = entry.ino;
			*type = entry.type;
			return 0;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

/* A name that a path could not spell, or that means something else in one. */
static bool name_is_bad(const u8 *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (unlikely(!name[i] || name[i] == '/'))
			return true;
	}
	return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

int daxfs_dir_entry(const struct daxfs_image *img, const struct daxfs_node *dir,
		    u32 index, struct daxfs_entry *entry, struct daxfs_err *err)
{
	u64 at;
	int ret;

	if (index >= dir->count)
		return bad(err, dir->ino, "count", index);
	ret = read_dirent(img, dir, index, entry, &at, err);
	if (ret)
		return ret;
	ret = copy_field(img, at, entry->name, entry->name_len, dir->ino,
			 "dirent.name", err);
	if (ret)
		return ret;
	entry->name[entry->name_len] = 0;
	if (unlikely(name_is_bad(entry->name, entry->name_len)))
		return bad(err, dir->ino, "dirent.name", index);
	return 0;
}

static int read_extent(const struct daxfs_image *img,
		       const struct daxfs_node *file, u32 index,
		       struct daxfs_extent *extent, struct daxfs_err *err)
{
	u64 at = file->data + sizeof(struct daxfs_extent_list) +
		 (u64)index * sizeof(*extent);

	return copy_field(img, at, extent, sizeof(*extent), file->ino, "extent", err);
}

/* A file with holes: the last extent that starts at or before pos decides. */
static int map_extents(const struct daxfs_image *img,
		       const struct daxfs_node *file, u64 pos,
		       struct daxfs_map *map, struct daxfs_err *err)
{
	u64 end = ALIGN(file->size, (u64)DAXFS_BLOCK_SIZE), next = end;
	u32 low = 0, high = file->count;
	u64 start = 0, off = 0, len = 0;
	struct daxfs_extent extent;
	int ret;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		u64 at;

		ret = read_extent(img, file, mid, &extent, err);
		if (ret)
			return ret;
		at = le64_to_cpu(extent.file_off);
		if (at > pos) {
			next = at;
			high = mid;
			continue;
		}
		start = at;
		off = le64_to_cpu(extent.off);
		len = le64_to_cpu(extent.len);
		low = mid + 1;
	}

	if (pos - start < len) {
		if (!IS_ALIGNED(start | off | len, (u64)DAXFS_BLOCK_SIZE) ||
		    !span_holds(&img->data, off, len))
			return bad(err, file->ino, "extent", off);
		map->hole = false;
		map->off = off + (pos - start);
		map->len = len - (pos - start);
	} else {
		if (!IS_ALIGNED(next, (u64)DAXFS_BLOCK_SIZE) || next <= pos)
			return bad(err, file->ino, "extent", next);
		map->hole = true;
		map->off = 0;
		map->len = next - pos;
	}
	if (map->len > file->size - pos)
		map->len = file->size - pos;
	return 0;
}

int daxfs_file_map(const struct daxfs_image *img, const struct daxfs_node *file,
		   u64 pos, struct daxfs_map *map, struct daxfs_err *err)
{
	if (unlikely(pos >= file->size))
		return bad(err, file->ino, "size", pos);
	if (likely(file->layout == DAXFS_LAYOUT_FLAT)) {
		/* Checked against the image when the inode was read. */
		map->off = file->data + pos;
		map->len = file->size - pos;
		map->hole = false;
		return 0;
	}
	return map_extents(img, file, pos, map, err);
}

int daxfs_symlink_target(const struct daxfs_image *img,
			 const struct daxfs_node *link, char *to,
			 struct daxfs_err *err)
{
	int ret = copy_field(img, link->data, to, link->size, link->ino, "data", err);

	if (ret)
		return ret;
	to[link->size] = 0;
	if (memchr(to, 0, link->size))
		return bad(err, link->ino, "symlink", link->data);
	return 0;
}

/* Enter an inode's xattr set: its bounds and count, checked. */
static int open_xattrs(const struct daxfs_image *img,
		       const struct daxfs_node *node,
		       struct daxfs_xattr_pos *pos, struct daxfs_err *err)
{
	u64 off = img->xattrs.off + ((u64)node->xattr - 1) * 8;
	struct daxfs_xattr_set set;
	u32 size;
	int ret;

	if (!span_holds(&img->xattrs, off, sizeof(set)))
		return bad(err, node->ino, "xattr", node->xattr);
	ret = copy_field(img, off, &set, sizeof(set), node->ino, "xattr", err);
	if (ret)
		return ret;
	size = le32_to_cpu(set.size);
	if (size < sizeof(set) || !span_holds(&img->xattrs, off, size))
		return bad(err, node->ino, "xattr.size", size);
	pos->off = off + sizeof(set);
	pos->end = off + size;
	pos->left = le32_to_cpu(set.count);
	/* Each entry takes 8 bytes at least, which bounds every walk. */
	if (pos->left > (size - sizeof(set)) / sizeof(struct daxfs_xattr))
		return bad(err, node->ino, "xattr.count", pos->left);
	return 0;
}

int daxfs_xattr_next(const struct daxfs_image *img, const struct daxfs_node *node,
		     struct daxfs_xattr_pos *pos, struct daxfs_xattr_entry *entry,
		     struct daxfs_err *err)
{
	struct daxfs_xattr raw;
	u64 bytes;
	int ret;

	if (!node->xattr)
		return 0;
	if (!pos->off) {
		ret = open_xattrs(img, node, pos, err);
		if (ret)
			return ret;
	}
	if (!pos->left)
		return 0;
	if (pos->end - pos->off < sizeof(raw))
		return bad(err, node->ino, "xattr.size", pos->off);
	ret = copy_field(img, pos->off, &raw, sizeof(raw), node->ino, "xattr", err);
	if (ret)
		return ret;
	entry->index = raw.index;
	entry->name_len = raw.name_len;
	entry->value_len = le32_to_cpu(raw.value_len);
	if (!entry->index || entry->index > DAXFS_XATTR_ACL_DEFAULT)
		return bad(err, node->ino, "xattr.index", entry->index);
	if (entry->value_len > DAXFS_XATTR_VALUE_MAX)
		return bad(err, node->ino, "xattr.value_len", entry->value_len);
	bytes = sizeof(raw) + ALIGN((u64)entry->name_len + entry->value_len, 4ULL);
	if (bytes > pos->end - pos->off)
		return bad(err, node->ino, "xattr.size", bytes);
	ret = copy_field(img, pos->off + sizeof(raw), entry->name,
			 entry->name_len, node->ino, "xattr", err);
	if (ret)
		return ret;
	entry->name[entry->name_len] = 0;
	if (memchr(entry->name, 0, entry->name_len))
		return bad(err, node->ino, "xattr.name", pos->off);
	entry->value = pos->off + sizeof(raw) + entry->name_len;
	pos->off += bytes;
	pos->left--;
	return 1;
}
