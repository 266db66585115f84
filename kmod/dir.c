// SPDX-License-Identifier: GPL-2.0-only
/* Directories: lookup by hash, reading in stored order. */
#include "daxfs.h"

/*
 * A directory has one parent and knows it. Checking that here keeps hard links
 * to directories, and so loops, out of the dcache.
 */
static struct inode *get_child(struct inode *dir, u32 ino)
{
	struct inode *inode = daxfs_iget(dir->i_sb, ino);
	struct daxfs_err err = { .ino = ino, .field = "parent" };

	if (IS_ERR(inode) || !S_ISDIR(inode->i_mode))
		return inode;
	err.value = DAXFS_I(inode)->parent;
	if (likely(err.value == dir->i_ino && ino != DAXFS_ROOT_INO))
		return inode;
	daxfs_report(dir->i_sb, &err);
	iput(inode);
	return ERR_PTR(-EUCLEAN);
}

static struct dentry *daxfs_lookup(struct inode *dir, struct dentry *dentry,
				   unsigned int flags)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(dir->i_sb);
	const struct qstr *name = &dentry->d_name;
	struct inode *inode = NULL;
	struct daxfs_err err;
	int ret = -EIO, id;
	u32 ino;
	u8 type;

	if (name->len > DAXFS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	if (daxfs_enter(sbi, &id)) {
		ret = daxfs_dir_lookup(&sbi->image, &DAXFS_I(dir)->node,
				       name->name, name->len, &ino, &type, &err);
		daxfs_exit(sbi, id);
	}
	if (!ret)
		inode = get_child(dir, ino);
	else if (ret == -EUCLEAN)
		daxfs_report(dir->i_sb, &err);
	if (ret && ret != -ENOENT)
		return ERR_PTR(ret);
	return d_splice_alias(inode, dentry);
}

/* The position of an entry is its index behind "." and "..": always stable. */
static int daxfs_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *dir = file_inode(file);
	struct daxfs_sb_info *sbi = DAXFS_SB(dir->i_sb);
	const struct daxfs_node *node = &DAXFS_I(dir)->node;
	struct daxfs_entry entry;
	struct daxfs_err err;
	int ret, id;

	if (!dir_emit_dots(file, ctx))
		return 0;
	for (; ctx->pos - 2 < node->count; ctx->pos++) {
		ret = -EIO;
		if (daxfs_enter(sbi, &id)) {
			ret = daxfs_dir_entry(&sbi->image, node, ctx->pos - 2,
					      &entry, &err);
			daxfs_exit(sbi, id);
		}
		if (ret == -EUCLEAN)
			daxfs_report(dir->i_sb, &err);
		if (ret)
			return ret;
		if (!dir_emit(ctx, entry.name, entry.name_len, entry.ino, entry.type))
			break;
	}
	return 0;
}

const struct file_operations daxfs_dir_operations = {
	.llseek		= generic_file_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= daxfs_iterate,
};

const struct inode_operations daxfs_dir_inode_operations = {
	.lookup		= daxfs_lookup,
	.getattr	= daxfs_getattr,
	.listxattr	= daxfs_listxattr,
};
