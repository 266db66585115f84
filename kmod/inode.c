// SPDX-License-Identifier: GPL-2.0-only
/* From inode numbers to VFS inodes. */
#include <linux/blkdev.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>

#include "daxfs.h"

int daxfs_getattr(daxfs_idmap *idmap, const struct path *path,
		  struct kstat *stat, u32 request_mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	const struct daxfs_image *image = &DAXFS_SB(inode->i_sb)->image;

	stat->result_mask |= STATX_BTIME;
	stat->btime.tv_sec = image->build_sec;
	stat->btime.tv_nsec = image->build_nsec;
	stat->attributes |= STATX_ATTR_IMMUTABLE;
	stat->attributes_mask |= STATX_ATTR_IMMUTABLE;
	daxfs_fillattr(idmap, request_mask, inode, stat);
	return 0;
}

static const struct inode_operations daxfs_file_inode_operations = {
	.getattr	= daxfs_getattr,
	.listxattr	= daxfs_listxattr,
	.get_inode_acl	= daxfs_get_acl,
};

static const struct inode_operations daxfs_symlink_inode_operations = {
	.get_link	= simple_get_link,
	.getattr	= daxfs_getattr,
	.listxattr	= daxfs_listxattr,
};

/*
 * Nothing is ever in the page cache. Who puts a page there to have it read calls
 * this without a look whether it is: /proc/PID/maps does for a build ID.
 */
static int daxfs_read_folio(struct file *file, struct folio *folio)
{
	folio_unlock(folio);
	return -EIO;
}

static const struct address_space_operations daxfs_aops = {
	.read_folio	= daxfs_read_folio,
};

/* The target is kept with the inode, so that following it costs nothing. */
static int daxfs_load_symlink(struct inode *inode, struct daxfs_err *err)
{
	struct daxfs_inode_info *info = DAXFS_I(inode);
	char *target = kmalloc(info->node.size + 1, GFP_KERNEL_ACCOUNT);
	int ret;

	if (!target)
		return -ENOMEM;
	ret = daxfs_symlink_target(&DAXFS_SB(inode->i_sb)->image, &info->node,
				   target, err);
	if (ret) {
		kfree(target);
		return ret;
	}
	inode->i_link = target;
	return 0;
}

static __always_inline int daxfs_set_type(struct inode *inode, struct daxfs_err *err)
{
	u64 device;

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &daxfs_file_inode_operations;
		inode->i_fop = DAXFS_SB(inode->i_sb)->options.iomap ?
			       &daxfs_iomap_file_operations : &daxfs_file_operations;
		inode->i_mapping->a_ops = &daxfs_aops;
		inode->i_flags |= S_DAX;
		return 0;
	case S_IFDIR:
		inode->i_op = &daxfs_dir_inode_operations;
		inode->i_fop = &daxfs_dir_operations;
		return 0;
	case S_IFLNK:
		inode->i_op = &daxfs_symlink_inode_operations;
		return daxfs_load_symlink(inode, err);
	default:
		device = DAXFS_I(inode)->node.data;
		inode->i_op = &daxfs_file_inode_operations;
		init_special_inode(inode, inode->i_mode,
				   MKDEV(device >> 32, (u32)device));
		return 0;
	}
}

static void daxfs_set_owner(struct inode *inode, u32 uid, u32 gid)
{
	/* In the first user namespace a number is its own translation. */
	if (likely(i_user_ns(inode) == &init_user_ns)) {
		inode->i_uid = KUIDT_INIT(uid);
		inode->i_gid = KGIDT_INIT(gid);
	} else {
		i_uid_write(inode, uid);
		i_gid_write(inode, gid);
	}
}

static __always_inline int daxfs_fill_inode(struct inode *inode,
					    const struct daxfs_inode_record *loaded,
					    struct daxfs_err *err)
{
	struct daxfs_inode_info *info = DAXFS_I(inode);
	const struct daxfs_inode *raw = &loaded->raw;

	info->node = loaded->node;
	info->parent = le32_to_cpu(raw->parent);
	info->next = 0;
	info->owned = false;
	inode->i_mode = le16_to_cpu(raw->mode);
	daxfs_set_owner(inode, le32_to_cpu(raw->uid), le32_to_cpu(raw->gid));
	if (raw->nlink != cpu_to_le32(1))	/* as a new inode has it */
		set_nlink(inode, le32_to_cpu(raw->nlink));
	inode->i_size = loaded->node.size;
	inode->i_blocks = loaded->blocks << (DAXFS_BLOCK_SHIFT - SECTOR_SHIFT);
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	memcpy(&inode->i_generation, DAXFS_SB(inode->i_sb)->image.uuid,
	       sizeof(inode->i_generation));
	if (!info->node.xattr)
		cache_no_acl(inode);
	daxfs_set_times(inode, le64_to_cpu(raw->mtime_sec), le32_to_cpu(raw->mtime_nsec));
	return daxfs_set_type(inode, err);
}

/* The one inode of a number: who holds it without a name finds the same again. */
static struct inode *daxfs_make_inode(struct super_block *sb,
				      const struct daxfs_inode_record *loaded,
				      struct daxfs_err *err)
{
	struct inode *inode = iget_locked(sb, loaded->node.ino);
	int ret;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(daxfs_inode_state(inode) & I_NEW))
		return inode;
	ret = daxfs_fill_inode(inode, loaded, err);
	if (ret) {
		iget_failed(inode);
		return ERR_PTR(ret);
	}
	unlock_new_inode(inode);
	return inode;
}

/*
 * A directory has one parent and knows it. Checking that here keeps hard links
 * to directories, and so loops, out of the dcache.
 */
static int daxfs_check_parent(const struct inode *dir, const struct daxfs_inode_record *loaded,
			      struct daxfs_err *err)
{
	u32 parent = le32_to_cpu(loaded->raw.parent);

	if (likely(parent == dir->i_ino && loaded->node.ino != DAXFS_ROOT_INO))
		return 0;
	err->ino = loaded->node.ino;
	err->field = "parent";
	err->value = parent;
	return -EUCLEAN;
}

/**
 * daxfs_iget_child - the VFS inode of a directory's entry
 * @dir: the directory, whose region the caller has entered
 * @ino: the entry's inode number, checked here
 *
 * Return: as daxfs_iget()
 */
struct inode *daxfs_iget_child(struct inode *dir, u32 ino)
{
	struct daxfs_inode_record loaded __uninitialized;
	struct super_block *sb = dir->i_sb;
	struct inode *inode;
	struct daxfs_err err __uninitialized;
	int ret;

	ret = daxfs_load_inode(&DAXFS_SB(sb)->image, ino, &loaded, &err);
	if (likely(!ret) && S_ISDIR(le16_to_cpu(loaded.raw.mode)))
		ret = daxfs_check_parent(dir, &loaded, &err);
	inode = unlikely(ret) ? ERR_PTR(ret) : daxfs_make_inode(sb, &loaded, &err);
	if (unlikely(inode == ERR_PTR(-EUCLEAN)))
		daxfs_report(sb, &err);
	return inode;
}

/**
 * daxfs_iget - the VFS inode of an inode number
 * @sb: the mount, whose region the caller has entered
 * @ino: the number, checked here
 *
 * Return: the inode, or an ERR_PTR: -EUCLEAN for one that breaks the format
 * (reported), -EIO for memory that cannot be read, -ENOMEM.
 */
struct inode *daxfs_iget(struct super_block *sb, u64 ino)
{
	struct daxfs_inode_record loaded __uninitialized;
	struct inode *inode;
	struct daxfs_err err;
	int ret;

	ret = daxfs_load_inode(&DAXFS_SB(sb)->image, ino, &loaded, &err);
	inode = ret ? ERR_PTR(ret) : daxfs_make_inode(sb, &loaded, &err);
	if (inode == ERR_PTR(-EUCLEAN))
		daxfs_report(sb, &err);
	return inode;
}
