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
#ifdef CONFIG_X86_64
#include <asm/asm.h>
#endif
#include <asm/byteorder.h>

/* A word by one load, which bad memory ends and not the kernel where the CPU can say so. */
static __always_inline bool daxfs_load_word(u64 *to, const void *from)
{
#ifdef CONFIG_X86_64
	asm goto("1: mov %0, %%rax\n\tmov %%rax, %1\n"
		 _ASM_EXTABLE_TYPE(1b, %l[failed], EX_TYPE_DEFAULT_MCE_SAFE)
		 : : "m" (*(const u64 *)from), "m" (*to) : "rax", "memory" : failed);
	return true;
failed:
	return false;
#else
	*to = READ_ONCE(*(const u64 *)from);
	return true;
#endif
}
#else
#include "image_shim.h"
#endif

#define DAXFS_NSEC_MAX		999999999U
#define DAXFS_BUCKET_BITS_MAX	28
#define DAXFS_XATTR_VALUE_MAX	65536U

#define DAXFS_HASH_MUL	0x9e3779b97f4a7c15ULL

static u64 daxfs_hash_step(u64 h, u64 word)
{
	h = (h ^ word) * DAXFS_HASH_MUL;
	return h ^ (h >> 32);
}

static __always_inline u64 daxfs_load_u64(const u8 *from)
{
	__le64 word;

	memcpy(&word, from, sizeof(word));
	return le64_to_cpu(word);
}

static __always_inline u64 daxfs_load_u32(const u8 *from)
{
	__le32 word;

	memcpy(&word, from, sizeof(word));
	return le32_to_cpu(word);
}

/* One to seven bytes as a number, by loads that overlap but stay inside. */
static __always_inline u64 daxfs_load_short(const u8 *from, size_t len)
{
	if (len >= 4)
		return daxfs_load_u32(from) | daxfs_load_u32(from + len - 4) << (len - 4) * 8;
	return from[0] | (u64)from[len / 2] << (len / 2) * 8 |
	       (u64)from[len - 1] << (len - 1) * 8;
}

/**
 * daxfs_name_hash - hash of a file name, part of the format
 * @name: the bytes, without a NUL
 * @len: how many, 1 … 255
 */
u32 daxfs_name_hash(const u8 *name, size_t len)
{
	size_t left = len;
	u64 h = len;

	for (; left >= sizeof(u64); left -= sizeof(u64), name += sizeof(u64))
		h = daxfs_hash_step(h, daxfs_load_u64(name));
	if (left && len > sizeof(u64))
		h = daxfs_hash_step(h, daxfs_load_u64(name + left - 8) >> (8 - left) * 8);
	else if (left)
		h = daxfs_hash_step(h, daxfs_load_short(name, left));
	return (h * DAXFS_HASH_MUL) >> 32;
}

static noinline int daxfs_corrupt(struct daxfs_err *err, u64 ino, const char *field, u64 value)
{
	err->ino = ino;
	err->field = field;
	err->value = value;
	return -EUCLEAN;
}

/* Does [off, off + len) lie in the span? No sum here can wrap. */
static bool daxfs_span_holds(const struct daxfs_span *span, u64 off, u64 len)
{
	return off >= span->off && len <= span->len &&
	       off - span->off <= span->len - len;
}

static __always_inline int daxfs_copy_out(const struct daxfs_image *img, u64 off,
					  void *to, u64 len)
{
	if (unlikely(len > img->size || off > img->size - len))
		return -EUCLEAN;
	if (unlikely(copy_mc_to_kernel(to, img->base + off, len)))
		return -EIO;
	return 0;
}

int daxfs_image_copy(const struct daxfs_image *img, u64 off, void *to, u64 len)
{
	return daxfs_copy_out(img, off, to, len);
}

/* As above, for a few words known to the compiler. */
static __always_inline int daxfs_copy_words(const struct daxfs_image *img, u64 off,
					    void *to, size_t words)
{
	const u8 *from = img->base + off;
	u64 *word = to;

	if (unlikely(off > img->size - words * sizeof(u64)))
		return -EUCLEAN;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++)
		if (unlikely(!daxfs_load_word(&word[i], from + i * sizeof(u64))))
			return -EIO;
	return 0;
}

/* As above, for a copy that belongs to an inode's field. */
static __always_inline int daxfs_copy_field(const struct daxfs_image *img, u64 off,
					    void *to, u64 len, u64 ino,
					    const char *field, struct daxfs_err *err)
{
	int ret;

	if (__builtin_constant_p(len) && len % sizeof(u64) == 0 && len <= 64)
		ret = daxfs_copy_words(img, off, to, len / sizeof(u64));
	else
		ret = daxfs_copy_out(img, off, to, len);
	return unlikely(ret == -EUCLEAN) ? daxfs_corrupt(err, ino, field, off) : ret;
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

static int daxfs_open_ranges(struct daxfs_image *img, const struct daxfs_super *sb,
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
		    !daxfs_span_holds(outer, to->off, to->len))
			return daxfs_corrupt(err, 0, super_ranges[i].name, to->off);
	}
	return 0;
}

/*
 * CRC of the superblock: of the copied fields, then of the padding behind them,
 * in pieces that fit on a kernel stack.
 */
static int daxfs_super_crc(const struct daxfs_image *img, struct daxfs_super *head,
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
		daxfs_corrupt(err, 0, "image_size", size);
		return -EINVAL;
	}
	ret = daxfs_copy_field(img, 0, sb, sizeof(*sb), 0, "magic", err);
	if (ret)
		return ret;

	if (le64_to_cpu(sb->magic) != DAXFS_SB_MAGIC) {
		daxfs_corrupt(err, 0, "magic", le64_to_cpu(sb->magic));
		return -EINVAL;
	}
	if (le32_to_cpu(sb->version) != DAXFS_VERSION) {
		daxfs_corrupt(err, 0, "version", le32_to_cpu(sb->version));
		return -EOPNOTSUPP;
	}
	img->compat = le32_to_cpu(sb->compat);
	img->incompat = le32_to_cpu(sb->incompat);
	if (img->incompat & ~DAXFS_INCOMPAT_ALL) {
		daxfs_corrupt(err, 0, "incompat", img->incompat & ~DAXFS_INCOMPAT_ALL);
		return -EOPNOTSUPP;
	}
	want = le32_to_cpu(sb->crc);
	ret = daxfs_super_crc(img, sb, &crc);
	if (ret)
		return ret;
	if (crc != want)
		return daxfs_corrupt(err, 0, "crc", want);

	if (sb->block_shift != DAXFS_BLOCK_SHIFT)
		return daxfs_corrupt(err, 0, "block_shift", sb->block_shift);
	img->size = le64_to_cpu(sb->image_size);
	if (img->size > size || img->size < DAXFS_SUPER_SIZE ||
	    !IS_ALIGNED(img->size, (u64)DAXFS_BLOCK_SIZE))
		return daxfs_corrupt(err, 0, "image_size", img->size);
	img->inode_count = le64_to_cpu(sb->inode_count);
	if (!img->inode_count || img->inode_count > U32_MAX)
		return daxfs_corrupt(err, 0, "inode_count", img->inode_count);
	if (le64_to_cpu(sb->root_ino) != DAXFS_ROOT_INO)
		return daxfs_corrupt(err, 0, "root_ino", le64_to_cpu(sb->root_ino));
	img->build_sec = (s64)le64_to_cpu(sb->build_sec);
	img->build_nsec = le32_to_cpu(sb->build_nsec);
	if (img->build_nsec > DAXFS_NSEC_MAX)
		return daxfs_corrupt(err, 0, "build_nsec", img->build_nsec);
	img->data_bytes = le64_to_cpu(sb->data_bytes);
	img->metadata_crc = le32_to_cpu(sb->metadata_crc);
	img->digest_kind = sb->digest_kind;
	memcpy(img->uuid, sb->uuid, sizeof(img->uuid));
	memcpy(img->label, sb->label, DAXFS_LABEL_MAX);
	memcpy(img->root_digest, sb->root_digest, sizeof(img->root_digest));

	ret = daxfs_open_ranges(img, sb, err);
	if (ret)
		return ret;
	if (img->inodes.len != img->inode_count * sizeof(struct daxfs_inode))
		return daxfs_corrupt(err, 0, "inodes", img->inodes.len);
	return 0;
}

static noinline int daxfs_open_dir(const struct daxfs_image *img,
				   struct daxfs_node *dir, struct daxfs_err *err)
{
	struct daxfs_dir head;
	u32 count, bits;
	int ret;

	if (!IS_ALIGNED(dir->data, 8) || dir->size > U32_MAX ||
	    dir->size < sizeof(head) ||
	    !daxfs_span_holds(&img->dirs, dir->data, dir->size))
		return daxfs_corrupt(err, dir->ino, "data", dir->data);
	ret = daxfs_copy_field(img, dir->data, &head, sizeof(head), dir->ino, "data", err);
	if (ret)
		return ret;
	count = le32_to_cpu(head.count);
	bits = le32_to_cpu(head.bucket_bits);
	if (count != dir->count)
		return daxfs_corrupt(err, dir->ino, "count", count);
	if (bits > DAXFS_BUCKET_BITS_MAX)
		return daxfs_corrupt(err, dir->ino, "bucket_bits", bits);
	dir->bucket_bits = bits;
	/* No sum here can wrap: all are below 2^38. */
	dir->entries = sizeof(head) + ALIGN(((1U << bits) + 1) * sizeof(__le32), 8U);
	if (dir->entries + (u64)count * sizeof(struct daxfs_dirent) > dir->size)
		return daxfs_corrupt(err, dir->ino, "size", dir->size);
	return 0;
}

static noinline int daxfs_open_extents(const struct daxfs_image *img,
				       const struct daxfs_node *node, u64 *blocks,
				       struct daxfs_err *err)
{
	u64 bytes = sizeof(struct daxfs_extent_list) +
		    (u64)node->count * sizeof(struct daxfs_extent);
	struct daxfs_extent_list list = { .blocks = 0 };
	int ret;

	if (!IS_ALIGNED(node->data, 8) ||
	    !daxfs_span_holds(&img->extents, node->data, bytes))
		return daxfs_corrupt(err, node->ino, "data", node->data);
	ret = daxfs_copy_field(img, node->data, &list, sizeof(list), node->ino, "data", err);
	if (ret)
		return ret;
	*blocks = le64_to_cpu(list.blocks);
	if (*blocks > img->data.len >> DAXFS_BLOCK_SHIFT)
		return daxfs_corrupt(err, node->ino, "blocks", *blocks);
	return 0;
}

static int daxfs_open_regular(const struct daxfs_image *img,
			      const struct daxfs_node *node, u64 *blocks,
			      struct daxfs_err *err)
{
	u64 bytes;

	if (node->size > DAXFS_MAX_FILE_SIZE)
		return daxfs_corrupt(err, node->ino, "size", node->size);
	if (node->layout != DAXFS_LAYOUT_FLAT)
		return daxfs_open_extents(img, node, blocks, err);
	if (!node->size)
		return 0;
	bytes = ALIGN(node->size, (u64)DAXFS_BLOCK_SIZE);
	if (!IS_ALIGNED(node->data, (u64)DAXFS_BLOCK_SIZE) ||
	    !daxfs_span_holds(&img->data, node->data, bytes))
		return daxfs_corrupt(err, node->ino, "data", node->data);
	*blocks = bytes >> DAXFS_BLOCK_SHIFT;
	return 0;
}

/* The part of an inode whose meaning depends on its type. */
static int daxfs_open_type(const struct daxfs_image *img, const struct daxfs_inode *raw,
			   struct daxfs_node *node, u64 *blocks, struct daxfs_err *err)
{
	u32 parent = le32_to_cpu(raw->parent);

	switch (le16_to_cpu(raw->mode) & S_IFMT) {
	case S_IFREG:
		return daxfs_open_regular(img, node, blocks, err);
	case S_IFDIR:
		if (!parent || parent > img->inode_count)
			return daxfs_corrupt(err, node->ino, "parent", parent);
		return daxfs_open_dir(img, node, err);
	case S_IFLNK:
		if (!node->size || node->size > DAXFS_SYMLINK_MAX)
			return daxfs_corrupt(err, node->ino, "size", node->size);
		if (!daxfs_span_holds(&img->symlinks, node->data, node->size))
			return daxfs_corrupt(err, node->ino, "data", node->data);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		if (node->data >> 32 > DAXFS_MAJOR_MAX || (u32)node->data > DAXFS_MINOR_MAX)
			return daxfs_corrupt(err, node->ino, "data", node->data);
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return daxfs_corrupt(err, node->ino, "mode", le16_to_cpu(raw->mode));
	}
}

int daxfs_load_inode(const struct daxfs_image *img, u64 ino,
		     struct daxfs_inode_record *loaded, struct daxfs_err *err)
{
	struct daxfs_inode *raw = &loaded->raw;
	struct daxfs_node *node = &loaded->node;
	u16 flags;
	int ret;

	if (unlikely(!ino || ino > img->inode_count))
		return daxfs_corrupt(err, ino, "ino", ino);
	ret = daxfs_copy_field(img, img->inodes.off + (ino - 1) * sizeof(*raw), raw,
			       sizeof(*raw), ino, "ino", err);
	if (ret)
		return ret;

	flags = le16_to_cpu(raw->flags);
	node->ino = ino;
	node->data = le64_to_cpu(raw->data);
	node->size = le64_to_cpu(raw->size);
	node->count = le32_to_cpu(raw->count);
	node->xattr = le32_to_cpu(raw->xattr);
	node->layout = flags & DAXFS_LAYOUT_MASK;
	node->bucket_bits = 0;
	node->entries = 0;
	loaded->blocks = 0;

	if (flags > DAXFS_LAYOUT_EXTENTS)
		return daxfs_corrupt(err, ino, "flags", flags);
	if (!raw->nlink)
		return daxfs_corrupt(err, ino, "nlink", 0);
	if (le32_to_cpu(raw->mtime_nsec) > DAXFS_NSEC_MAX)
		return daxfs_corrupt(err, ino, "mtime_nsec", le32_to_cpu(raw->mtime_nsec));
	return daxfs_open_type(img, raw, node, &loaded->blocks, err);
}

/* Where entry index of a directory lies. */
static u64 daxfs_dirent_off(const struct daxfs_node *dir, u32 index)
{
	return dir->data + dir->entries + (u64)index * sizeof(struct daxfs_dirent);
}

/* Check a directory entry that was copied out, but for the bytes of its name. */
static __always_inline int daxfs_check_dirent(const struct daxfs_image *img,
					      const struct daxfs_node *dir,
					      const struct daxfs_dirent *raw,
					      struct daxfs_err *err)
{
	u32 ino = le32_to_cpu(raw->ino);
	u32 name = le32_to_cpu(raw->name);

	if (unlikely(!ino || ino > img->inode_count))
		return daxfs_corrupt(err, dir->ino, "dirent.ino", ino);
	if (unlikely(!raw->name_len || name > dir->size ||
		     dir->size - name < raw->name_len))
		return daxfs_corrupt(err, dir->ino, "dirent.name", name);
	return 0;
}

/* Copy out and check an entry, but for the bytes of its name. */
static __always_inline int daxfs_read_dirent(const struct daxfs_image *img,
					     const struct daxfs_node *dir, u32 index,
					     struct daxfs_dirent *raw,
					     struct daxfs_err *err)
{
	int ret = daxfs_copy_field(img, daxfs_dirent_off(dir, index), raw, sizeof(*raw),
				   dir->ino, "dirent", err);

	return ret ? ret : daxfs_check_dirent(img, dir, raw, err);
}

/* Order of the wanted name against an entry's: <0, 0, >0. */
static int daxfs_compare_name(const struct daxfs_image *img,
			      const struct daxfs_node *dir,
			      const struct daxfs_dirent *raw, const u8 *name,
			      size_t len, int *order, struct daxfs_err *err)
{
	size_t common = len < raw->name_len ? len : raw->name_len;
	u8 have[DAXFS_NAME_MAX] __uninitialized;
	int ret;

	ret = daxfs_copy_field(img, dir->data + le32_to_cpu(raw->name), have, common,
			       dir->ino, "dirent.name", err);
	if (ret)
		return ret;
	*order = memcmp(name, have, common);
	if (!*order)
		*order = (int)len - (int)raw->name_len;
	return 0;
}

/* Find a name by its hash: 0 with *raw and *index, -ENOENT, or an error. */
static noinline int daxfs_search_dir(const struct daxfs_image *img,
				     const struct daxfs_node *dir, const u8 *name,
				     size_t len, struct daxfs_dirent *raw, u32 *index,
				     struct daxfs_err *err)
{
	u32 hash = daxfs_name_hash(name, len);
	/* A shift by 32 is undefined, so shift the wider type. */
	u64 bucket = (u64)hash >> (32 - dir->bucket_bits);
	__le32 bounds[2];
	u32 low, high;
	int ret;

	ret = daxfs_copy_field(img, dir->data + sizeof(struct daxfs_dir) +
			       bucket * sizeof(__le32), bounds, sizeof(bounds),
			       dir->ino, "bucket", err);
	if (ret)
		return ret;
	low = le32_to_cpu(bounds[0]);
	high = le32_to_cpu(bounds[1]);
	if (unlikely(low > high || high > dir->count))
		return daxfs_corrupt(err, dir->ino, "bucket", high);

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		u32 have;
		int order;

		ret = daxfs_read_dirent(img, dir, mid, raw, err);
		if (ret)
			return ret;
		have = le32_to_cpu(raw->hash);
		order = hash < have ? -1 : hash > have;
		if (!order) {
			ret = daxfs_compare_name(img, dir, raw, name, len, &order, err);
			if (ret)
				return ret;
		}
		if (!order) {
			*index = mid;
			return 0;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

#define HINT_NAME_MAX	40	/* longer ones are searched for */

/* Does the image have this name at off? Its words are compared as they are loaded. */
static __always_inline bool daxfs_has_name(const struct daxfs_image *img, u64 off,
					   const u8 *name, size_t len)
{
	const u8 *from = img->base + off;
	size_t i;
	u64 word;

	if (unlikely(img->size - off < HINT_NAME_MAX))
		return false;
	if (len < sizeof(word))
		return daxfs_load_word(&word, from) &&
		       !((word ^ daxfs_load_short(name, len)) << (8 - len) * 8);
	for (i = 0; i < len - sizeof(word); i += sizeof(word))
		if (!daxfs_load_word(&word, from + i) || word != daxfs_load_u64(name + i))
			return false;
	i = len - sizeof(word);
	return daxfs_load_word(&word, from + i) && word == daxfs_load_u64(name + i);
}

/* Is the name where the caller guessed? What cannot be read there is not. */
static __always_inline bool daxfs_hint_is_right(const struct daxfs_image *img,
						const struct daxfs_node *dir,
						const u8 *name, size_t len, u32 index,
						struct daxfs_dirent *raw,
						struct daxfs_err *err)
{
	return index < dir->count && len <= HINT_NAME_MAX &&
	       !daxfs_read_dirent(img, dir, index, raw, err) && raw->name_len == len &&
	       daxfs_has_name(img, dir->data + le32_to_cpu(raw->name), name, len);
}

int daxfs_dir_lookup(const struct daxfs_image *img, const struct daxfs_node *dir,
		     const u8 *name, size_t len, struct daxfs_dir_hint *slot,
		     struct daxfs_err *err)
{
	struct daxfs_dirent raw __uninitialized;
	int ret;

	if (!daxfs_hint_is_right(img, dir, name, len, slot->index, &raw, err)) {
		ret = daxfs_search_dir(img, dir, name, len, &raw, &slot->index, err);
		if (ret)
			return ret;
	}
	slot->ino = le32_to_cpu(raw.ino);
	slot->type = raw.type;
	return 0;
}

/* Is one of the eight bytes 0? */
static bool daxfs_has_zero_byte(u64 word)
{
	return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;
}

/*
 * Is a NUL or a slash among the bytes? Up to seven bytes behind them are read,
 * whatever they are.
 */
static bool daxfs_spells_no_name(const u8 *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += sizeof(u64)) {
		u64 word = daxfs_load_u64(bytes + i);

		/* What is not of the names becomes all ones. */
		if (len - i < sizeof(word))
			word |= ~0ULL << (len - i) * 8;
		if (unlikely(daxfs_has_zero_byte(word) ||
			     daxfs_has_zero_byte(word ^ 0x2f2f2f2f2f2f2f2fULL)))
			return true;
	}
	return false;
}

static bool daxfs_is_dots(const u8 *name, size_t len)
{
	return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/*
 * Check the entries of a batch and keep those whose names lie one after the
 * other, as mkdaxfs stores them, so that one copy brings them all. A bad entry
 * behind good ones is left to the next call.
 */
static int daxfs_check_batch(const struct daxfs_image *img, const struct daxfs_node *dir,
			     struct daxfs_dir_batch *batch, struct daxfs_err *err)
{
	u32 first = le32_to_cpu(batch->raw[0].name), bytes = 0, i;
	int ret;

	for (i = 0; i < batch->count; i++) {
		const struct daxfs_dirent *raw = &batch->raw[i];

		if (le32_to_cpu(raw->name) != first + bytes ||
		    bytes + raw->name_len > DAXFS_BATCH_NAMES)
			break;
		ret = daxfs_check_dirent(img, dir, raw, err);
		if (unlikely(ret)) {
			if (!i)
				return ret;
			break;
		}
		bytes += raw->name_len;
	}
	batch->count = i;
	batch->bytes = bytes;
	return 0;
}

/* End a batch before the first entry whose name no path could spell. */
static int daxfs_check_names(const struct daxfs_node *dir, struct daxfs_dir_batch *batch,
			     u32 index, struct daxfs_err *err)
{
	bool suspect = daxfs_spells_no_name(batch->names, batch->bytes);
	const u8 *name = batch->names;
	u32 i;

	for (i = 0; i < batch->count; i++) {
		u8 len = batch->raw[i].name_len;

		if (unlikely(daxfs_is_dots(name, len) ||
			     (suspect && daxfs_spells_no_name(name, len)))) {
			batch->count = i;
			return i ? 0 : daxfs_corrupt(err, dir->ino, "dirent.name", index);
		}
		name += len;
	}
	return 0;
}

int daxfs_dir_read(const struct daxfs_image *img, const struct daxfs_node *dir,
		   u32 index, u32 max, struct daxfs_dir_batch *batch,
		   struct daxfs_err *err)
{
	int ret;

	if (unlikely(index >= dir->count))
		return daxfs_corrupt(err, dir->ino, "count", index);
	if (max > DAXFS_BATCH_ENTRIES)
		max = DAXFS_BATCH_ENTRIES;
	if (max > dir->count - index)
		max = dir->count - index;
	batch->count = max;
	ret = daxfs_copy_field(img, daxfs_dirent_off(dir, index), batch->raw,
			       max * sizeof(batch->raw[0]), dir->ino, "dirent", err);
	if (ret)
		return ret;
	ret = daxfs_check_batch(img, dir, batch, err);
	if (ret)
		return ret;
	ret = daxfs_copy_field(img, dir->data + le32_to_cpu(batch->raw[0].name),
			       batch->names, batch->bytes, dir->ino, "dirent.name", err);
	return ret ? ret : daxfs_check_names(dir, batch, index, err);
}

static int daxfs_read_extent(const struct daxfs_image *img,
			     const struct daxfs_node *file, u32 index,
			     struct daxfs_extent *extent, struct daxfs_err *err)
{
	u64 at = file->data + sizeof(struct daxfs_extent_list) +
		 (u64)index * sizeof(*extent);

	return daxfs_copy_field(img, at, extent, sizeof(*extent), file->ino, "extent", err);
}

/*
 * A file with holes: the last extent that starts at or before pos decides, up to
 * where the next one starts.
 */
static int daxfs_map_extents(const struct daxfs_image *img,
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

		ret = daxfs_read_extent(img, file, mid, &extent, err);
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

	if (!IS_ALIGNED(next, (u64)DAXFS_BLOCK_SIZE))
		return daxfs_corrupt(err, file->ino, "extent", next);
	if (pos - start < len) {
		if (!IS_ALIGNED(start | off | len, (u64)DAXFS_BLOCK_SIZE) ||
		    !daxfs_span_holds(&img->data, off, len))
			return daxfs_corrupt(err, file->ino, "extent", off);
		map->hole = false;
		map->off = off + (pos - start);
		map->len = len - (pos - start);
	} else {
		if (next <= pos)
			return daxfs_corrupt(err, file->ino, "extent", next);
		map->hole = true;
		map->off = 0;
		map->len = next - pos;
	}
	if (map->len > next - pos)
		map->len = next - pos;
	if (map->len > file->size - pos)
		map->len = file->size - pos;
	return 0;
}

int daxfs_file_map(const struct daxfs_image *img, const struct daxfs_node *file,
		   u64 pos, struct daxfs_map *map, struct daxfs_err *err)
{
	if (unlikely(pos >= file->size))
		return daxfs_corrupt(err, file->ino, "size", pos);
	if (likely(file->layout == DAXFS_LAYOUT_FLAT)) {
		/* Checked against the image when the inode was read. */
		map->off = file->data + pos;
		map->len = file->size - pos;
		map->hole = false;
		return 0;
	}
	return daxfs_map_extents(img, file, pos, map, err);
}

int daxfs_symlink_target(const struct daxfs_image *img,
			 const struct daxfs_node *link, char *to,
			 struct daxfs_err *err)
{
	int ret = daxfs_copy_field(img, link->data, to, link->size, link->ino, "data", err);

	if (ret)
		return ret;
	to[link->size] = 0;
	if (memchr(to, 0, link->size))
		return daxfs_corrupt(err, link->ino, "symlink", link->data);
	return 0;
}

/* Enter an inode's xattr set: its bounds and count, checked. */
static int daxfs_open_xattrs(const struct daxfs_image *img,
			     const struct daxfs_node *node,
			     struct daxfs_xattr_pos *pos, struct daxfs_err *err)
{
	u64 off = img->xattrs.off + ((u64)node->xattr - 1) * 8;
	struct daxfs_xattr_set set;
	u32 size;
	int ret;

	if (!daxfs_span_holds(&img->xattrs, off, sizeof(set)))
		return daxfs_corrupt(err, node->ino, "xattr", node->xattr);
	ret = daxfs_copy_field(img, off, &set, sizeof(set), node->ino, "xattr", err);
	if (ret)
		return ret;
	size = le32_to_cpu(set.size);
	if (size < sizeof(set) || !daxfs_span_holds(&img->xattrs, off, size))
		return daxfs_corrupt(err, node->ino, "xattr.size", size);
	pos->off = off + sizeof(set);
	pos->end = off + size;
	pos->left = le32_to_cpu(set.count);
	/* Each entry takes 8 bytes at least, which bounds every walk. */
	if (pos->left > (size - sizeof(set)) / sizeof(struct daxfs_xattr))
		return daxfs_corrupt(err, node->ino, "xattr.count", pos->left);
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
		ret = daxfs_open_xattrs(img, node, pos, err);
		if (ret)
			return ret;
	}
	if (!pos->left)
		return 0;
	if (pos->end - pos->off < sizeof(raw))
		return daxfs_corrupt(err, node->ino, "xattr.size", pos->off);
	ret = daxfs_copy_field(img, pos->off, &raw, sizeof(raw), node->ino, "xattr", err);
	if (ret)
		return ret;
	entry->index = raw.index;
	entry->name_len = raw.name_len;
	entry->value_len = le32_to_cpu(raw.value_len);
	if (!entry->index || entry->index > DAXFS_XATTR_ACL_DEFAULT)
		return daxfs_corrupt(err, node->ino, "xattr.index", entry->index);
	if (entry->value_len > DAXFS_XATTR_VALUE_MAX)
		return daxfs_corrupt(err, node->ino, "xattr.value_len", entry->value_len);
	bytes = sizeof(raw) + ALIGN((u64)entry->name_len + entry->value_len, 4ULL);
	if (bytes > pos->end - pos->off)
		return daxfs_corrupt(err, node->ino, "xattr.size", bytes);
	ret = daxfs_copy_field(img, pos->off + sizeof(raw), entry->name,
			       entry->name_len, node->ino, "xattr", err);
	if (ret)
		return ret;
	entry->name[entry->name_len] = 0;
	if (memchr(entry->name, 0, entry->name_len))
		return daxfs_corrupt(err, node->ino, "xattr.name", pos->off);
	entry->value = pos->off + sizeof(raw) + entry->name_len;
	pos->off += bytes;
	pos->left--;
	return 1;
}
