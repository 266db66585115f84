// SPDX-License-Identifier: GPL-2.0-only
/*
 * -o validate: all metadata is read once before the mount. It tells a broken
 * image early; what keeps the kernel safe are the checks at each use.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "daxfs.h"

struct daxfs_validation {
	struct daxfs_sb_info *sbi;
	const struct daxfs_image *image;
	int id;				/* of the stay inside the region */
	struct daxfs_err *err;
	unsigned long *named;		/* a bit for each directory that has a name */
	u64 unnamed;			/* directories, less the names of some */
	struct daxfs_inode_record inode;	/* at hand */
	struct daxfs_inode_record child;
	struct daxfs_dir_batch batch;
	struct daxfs_xattr_entry xattr;
	u8 bytes[DAXFS_BLOCK_SIZE];
};

static int daxfs_corrupt(struct daxfs_validation *v, u64 ino, const char *field, u64 value)
{
	*v->err = (struct daxfs_err){ .ino = ino, .field = field, .value = value };
	return -EUCLEAN;
}

/* Between two steps of what may take long: outside the region for a moment. */
static int daxfs_validate_pause(struct daxfs_validation *v, int ret)
{
	srcu_read_unlock(&v->sbi->srcu, v->id);
	cond_resched();
	v->id = srcu_read_lock(&v->sbi->srcu);
	/* After an error nothing is read any more. */
	if (READ_ONCE(v->sbi->region.gone))
		return -EIO;
	return !ret && fatal_signal_pending(current) ? -EINTR : ret;
}

static int daxfs_validate_crc(struct daxfs_validation *v)
{
	u64 off = v->image->metadata.off, left = v->image->metadata.len, len;
	u32 crc = 0;
	int ret = 0;

	for (; left && !ret; off += len, left -= len) {
		len = min_t(u64, left, sizeof(v->bytes));
		ret = daxfs_validate_pause(v, daxfs_image_copy(v->image, off, v->bytes, len));
		crc = daxfs_crc32c(crc, v->bytes, len);
	}
	if (!ret && crc != v->image->metadata_crc)
		return daxfs_corrupt(v, 0, "metadata_crc", crc);
	return ret;
}

/* An entry is found by its name, and names an inode of its type. */
static int daxfs_validate_entry(struct daxfs_validation *v, u32 index, u32 *subdirs)
{
	const struct daxfs_node *dir = &v->inode.node;
	const struct daxfs_dirent *entry = v->batch.raw;
	struct daxfs_dir_hint slot = { .index = DAXFS_NO_HINT };
	u32 ino, mode, parent;
	int ret;

	ret = daxfs_dir_read(v->image, dir, index, 1, &v->batch, v->err);
	if (ret)
		return ret;
	ino = le32_to_cpu(entry->ino);
	ret = daxfs_dir_lookup(v->image, dir, v->batch.names, entry->name_len,
			       &slot, v->err);
	if (ret && ret != -ENOENT)
		return ret;
	if (ret || slot.ino != ino)
		return daxfs_corrupt(v, dir->ino, "dirent.hash", index);
	ret = daxfs_load_inode(v->image, ino, &v->child, v->err);
	if (ret)
		return ret;
	mode = le16_to_cpu(v->child.raw.mode);
	parent = le32_to_cpu(v->child.raw.parent);
	if (mode >> 12 != entry->type)
		return daxfs_corrupt(v, dir->ino, "dirent.type", entry->type);
	if (!S_ISDIR(mode))
		return 0;
	++*subdirs;
	v->unnamed--;
	if (parent != dir->ino || ino == DAXFS_ROOT_INO ||
	    __test_and_set_bit(ino - 1, v->named))
		return daxfs_corrupt(v, ino, "parent", parent);
	return 0;
}

static int daxfs_validate_dir(struct daxfs_validation *v)
{
	u32 i, subdirs = 0;
	u32 nlink = le32_to_cpu(v->inode.raw.nlink);
	int ret = 0;

	v->unnamed++;
	for (i = 0; i < v->inode.node.count && !ret; i++)
		ret = daxfs_validate_pause(v, daxfs_validate_entry(v, i, &subdirs));
	if (!ret && nlink != subdirs + 2)
		return daxfs_corrupt(v, v->inode.node.ino, "nlink", nlink);
	return ret;
}

/* Extents that are sorted and apart give one run each. */
static int daxfs_validate_file(struct daxfs_validation *v)
{
	const struct daxfs_node *file = &v->inode.node;
	u64 pos, blocks = 0, runs = 0;
	struct daxfs_map map = {};
	int ret = 0;

	for (pos = 0; pos < file->size && !ret; pos += map.len) {
		ret = daxfs_validate_pause(v, daxfs_file_map(v->image, file, pos, &map, v->err));
		if (!ret && !map.hole) {
			blocks += DIV_ROUND_UP_ULL(map.len, DAXFS_BLOCK_SIZE);
			runs++;
		}
	}
	if (!ret && file->layout == DAXFS_LAYOUT_EXTENTS &&
	    (runs != file->count || blocks != v->inode.blocks))
		return daxfs_corrupt(v, file->ino, "extent", runs);
	return ret;
}

static int daxfs_validate_inode(struct daxfs_validation *v, u64 ino)
{
	struct daxfs_xattr_pos pos = {};
	u32 mode;
	int ret = daxfs_load_inode(v->image, ino, &v->inode, v->err);

	if (ret)
		return ret;
	do {
		ret = daxfs_xattr_next(v->image, &v->inode.node, &pos, &v->xattr, v->err);
	} while (ret > 0);
	if (ret)
		return ret;
	mode = le16_to_cpu(v->inode.raw.mode);
	if (S_ISDIR(mode))
		return daxfs_validate_dir(v);
	if (S_ISREG(mode))
		return daxfs_validate_file(v);
	if (S_ISLNK(mode))
		return daxfs_symlink_target(v->image, &v->inode.node, v->bytes, v->err);
	return 0;
}

static int daxfs_validate_all(struct daxfs_validation *v)
{
	int ret = 0;
	u64 ino;

	for (ino = 1; ino <= v->image->inode_count && !ret; ino++)
		ret = daxfs_validate_pause(v, daxfs_validate_inode(v, ino));
	if (!ret && v->unnamed != 1)	/* the root */
		ret = daxfs_corrupt(v, DAXFS_ROOT_INO, "directories without a name", v->unnamed);
	return ret ? ret : daxfs_validate_crc(v);
}

/**
 * daxfs_validate - read and check all metadata of an image
 * @sbi: the mount, its image open
 * @err: what was wrong, with -EUCLEAN
 *
 * Return: 0, -EUCLEAN, -EIO, -ENOMEM (it takes a bit of memory for each inode),
 * or -EINTR for a mount that is killed.
 */
int daxfs_validate(struct daxfs_sb_info *sbi, struct daxfs_err *err)
{
	struct daxfs_validation *v = kvzalloc(sizeof(*v), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!v)
		return ret;
	v->sbi = sbi;
	v->image = &sbi->image;
	v->err = err;
	v->named = kvcalloc(BITS_TO_LONGS(v->image->inode_count), sizeof(long), GFP_KERNEL);
	if (v->named) {
		ret = -EIO;
		if (daxfs_region_read_lock(sbi, &v->id)) {
			ret = daxfs_validate_all(v);
			daxfs_region_read_unlock(sbi, v->id);
		}
	}
	kvfree(v->named);
	kvfree(v);
	return ret;
}
