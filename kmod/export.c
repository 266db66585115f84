// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handles: inode number and generation. Both are the image's, so a handle
 * outlives a mount, and means nothing to another image.
 */
#include <linux/exportfs.h>

#include "daxfs.h"

/* A handle comes from anywhere: a number the image has not is its own fault. */
static struct inode *daxfs_get_inode(struct super_block *sb, u64 ino, u32 generation)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);
	struct inode *inode;
	int id;

	if (!ino || ino > sbi->image.inode_count)
		return ERR_PTR(-ESTALE);
	if (!daxfs_region_read_lock(sbi, &id))
		return ERR_PTR(-EIO);
	inode = daxfs_iget(sb, ino);
	daxfs_region_read_unlock(sbi, id);
	if (IS_ERR(inode) || !generation || inode->i_generation == generation)
		return inode;
	iput(inode);
	return ERR_PTR(-ESTALE);
}

static struct dentry *daxfs_fh_to_dentry(struct super_block *sb, struct fid *fid,
					 int len, int type)
{
	return generic_fh_to_dentry(sb, fid, len, type, daxfs_get_inode);
}

static struct dentry *daxfs_fh_to_parent(struct super_block *sb, struct fid *fid,
					 int len, int type)
{
	return generic_fh_to_parent(sb, fid, len, type, daxfs_get_inode);
}

static struct dentry *daxfs_get_parent(struct dentry *child)
{
	return d_obtain_alias(daxfs_get_inode(child->d_sb, DAXFS_I(d_inode(child))->parent, 0));
}

const struct export_operations daxfs_export_operations = {
	.encode_fh	= generic_encode_ino32_fh,
	.fh_to_dentry	= daxfs_fh_to_dentry,
	.fh_to_parent	= daxfs_fh_to_parent,
	.get_parent	= daxfs_get_parent,
};
