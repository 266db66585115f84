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

/* The inode of a name, NULL where there is none, or an ERR_PTR. */
static struct inode *find_child(struct inode *dir, const struct qstr *name)
{
	struct daxfs_err err;
	u32 ino;
	u8 type;
	int ret;

	ret = daxfs_dir_lookup(&DAXFS_SB(dir->i_sb)->image, &DAXFS_I(dir)->node,
			       name->name, name->len, &ino, &type, &err);
	if (!ret)
		return get_child(dir, ino);
	if (ret == -ENOENT)
		return NULL;
	if (ret == -EUCLEAN)
		daxfs_report(dir->i_sb, &err);
	return ERR_PTR(ret);
}

static struct dentry *daxfs_lookup(struct inode *dir, struct dentry *dentry,
				   unsigned int flags)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(dir->i_sb);
	struct inode *inode;
	int id;

	if (dentry->d_name.len > DAXFS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	if (!daxfs_enter(sbi, &id))
		return ERR_PTR(-EIO);
	inode = find_child(dir, &dentry->d_name);
	daxfs_exit(sbi, id);
	return d_splice_alias(inode, dentry);
}

static int emit_entries(struct inode *dir, struct dir_context *ctx)
{
	const struct daxfs_image *image = &DAXFS_SB(dir->i_sb)->image;
	const struct daxfs_node *node = &DAXFS_I(dir)->node;
	struct daxfs_entry entry;
	struct daxfs_err err;
	int ret;

	/* The position of an entry is its index behind "." and "..": stable. */
	for (; ctx->pos - 2 < node->count; ctx->pos++) {
		ret = daxfs_dir_entry(image, node, ctx->pos - 2, &entry, &err);
		if (ret == -EUCLEAN)
			daxfs_report(dir->i_sb, &err);
		if (ret)
			return ret;
		if (!dir_emit(ctx, entry.name, entry.name_len, entry.ino, entry.type))
			break;
	}
	return 0;
}

static int daxfs_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *dir = file_inode(file);
	struct daxfs_sb_info *sbi = DAXFS_SB(dir->i_sb);
	int ret, id;

	if (!dir_emit_dots(file, ctx))
		return 0;
	if (!daxfs_enter(sbi, &id))
		return -EIO;
	ret = emit_entries(dir, ctx);
	daxfs_exit(sbi, id);
	return ret;
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
