// SPDX-License-Identifier: GPL-2.0-only
/* From inode numbers to VFS inodes. */
#include <linux/blkdev.h>
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
};

static const struct inode_operations daxfs_symlink_inode_operations = {
	.get_link	= simple_get_link,
	.getattr	= daxfs_getattr,
	.listxattr	= daxfs_listxattr,
};

/* DAX has no pages to write back; direct I/O is what it always does. */
static const struct address_space_operations daxfs_aops = {
	.direct_IO	= noop_direct_IO,
};

/* The target is kept with the inode, so that following it costs nothing. */
static int load_symlink(struct inode *inode, struct daxfs_err *err)
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

static int set_type(struct inode *inode, const struct daxfs_attr *attr,
		    struct daxfs_err *err)
{
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &daxfs_file_inode_operations;
		inode->i_fop = &daxfs_file_operations;
		inode->i_mapping->a_ops = &daxfs_aops;
		inode->i_flags |= S_DAX;
		return 0;
	case S_IFDIR:
		inode->i_op = &daxfs_dir_inode_operations;
		inode->i_fop = &daxfs_dir_operations;
		return 0;
	case S_IFLNK:
		inode->i_op = &daxfs_symlink_inode_operations;
		return load_symlink(inode, err);
	default:
		inode->i_op = &daxfs_file_inode_operations;
		init_special_inode(inode, inode->i_mode,
				   MKDEV(attr->rdev_major, attr->rdev_minor));
		return 0;
	}
}

static int fill_inode(struct inode *inode, struct daxfs_err *err)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	struct daxfs_inode_info *info = DAXFS_I(inode);
	struct daxfs_attr attr;
	int ret;

	ret = daxfs_read_inode(&sbi->image, inode->i_ino, &attr, err);
	if (ret)
		return ret;
	info->node = attr.node;
	info->parent = attr.parent;
	inode->i_mode = attr.mode;
	i_uid_write(inode, attr.uid);
	i_gid_write(inode, attr.gid);
	set_nlink(inode, attr.nlink);
	inode->i_size = attr.node.size;
	inode->i_blocks = attr.blocks << (DAXFS_BLOCK_SHIFT - SECTOR_SHIFT);
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	daxfs_set_times(inode, attr.mtime_sec, attr.mtime_nsec);
	return set_type(inode, &attr, err);
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
	struct inode *inode = iget_locked(sb, ino);
	struct daxfs_err err;
	int ret;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode->i_state & I_NEW))
		return inode;
	ret = fill_inode(inode, &err);
	if (!ret) {
		unlock_new_inode(inode);
		return inode;
	}
	if (ret == -EUCLEAN)
		daxfs_report(sb, &err);
	iget_failed(inode);
	return ERR_PTR(ret);
}
