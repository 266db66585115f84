// SPDX-License-Identifier: GPL-2.0-only
/* Directories: lookup by hash, reading in stored order. */
#include "daxfs.h"
#include "trace.h"

/* Is a directory known by another name than this one? */
static bool daxfs_has_other_name(struct inode *inode, const struct qstr *name)
{
	struct dentry *alias;
	bool other;

	if (likely(hlist_empty(&inode->i_dentry)))
		return false;
	alias = d_find_any_alias(inode);
	if (!alias)
		return false;
	spin_lock(&alias->d_lock);
	/* One without a parent came from a file handle. */
	other = !IS_ROOT(alias) &&
		(alias->d_name.len != name->len ||
		 memcmp(alias->d_name.name, name->name, name->len));
	spin_unlock(&alias->d_lock);
	dput(alias);
	return other;
}

/* Drop a directory that is known by another name. */
static noinline struct inode *daxfs_refuse_name(struct inode *inode)
{
	struct daxfs_err err = {
		.ino = inode->i_ino,
		.field = "second name in parent",
		.value = DAXFS_I(inode)->parent,
	};

	daxfs_report(inode->i_sb, &err);
	iput(inode);
	return ERR_PTR(-EUCLEAN);
}

/* The inode of a name, NULL where there is none, or an ERR_PTR. */
static struct inode *daxfs_find_child(struct inode *dir, const struct qstr *name)
{
	struct daxfs_inode_info *info = DAXFS_I(dir);
	struct daxfs_dir_hint slot __uninitialized;
	struct daxfs_err err __uninitialized;
	struct inode *inode;
	int ret;

	slot.index = READ_ONCE(info->next);
	ret = daxfs_dir_lookup(&DAXFS_SB(dir->i_sb)->image, &info->node,
			       name->name, name->len, &slot, &err);
	if (likely(!ret)) {
		WRITE_ONCE(info->next, slot.index + 1);
		inode = daxfs_iget_child(dir, slot.ino);
		/*
		 * A directory has one name. With its one parent, which it
		 * knows, that keeps hard links to directories, and so loops,
		 * out of the dcache.
		 */
		if (!IS_ERR(inode) && S_ISDIR(inode->i_mode) &&
		    unlikely(daxfs_has_other_name(inode, name)))
			return daxfs_refuse_name(inode);
		return inode;
	}
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
	if (!daxfs_region_read_lock(sbi, &id))
		return ERR_PTR(-EIO);
	inode = daxfs_find_child(dir, &dentry->d_name);
	daxfs_region_read_unlock(sbi, id);
	if (IS_ERR_OR_NULL(inode))
		trace_daxfs_lookup_failed(dir, &dentry->d_name,
					  inode ? PTR_ERR(inode) : -ENOENT);
	return d_splice_alias(inode, dentry);
}

/* The position of an entry is its index behind "." and "..": stable. */
static bool daxfs_dir_emit_batch(struct dir_context *ctx, const struct daxfs_dir_batch *batch)
{
	const char *name = batch->names;
	u32 i;

	for (i = 0; i < batch->count; i++) {
		const struct daxfs_dirent *raw = &batch->raw[i];

		if (!dir_emit(ctx, name, raw->name_len, le32_to_cpu(raw->ino), raw->type))
			return false;
		name += raw->name_len;
		ctx->pos++;
	}
	return true;
}

static int daxfs_dir_emit(struct inode *dir, struct dir_context *ctx)
{
	const struct daxfs_node *node = &DAXFS_I(dir)->node;
	struct daxfs_sb_info *sbi = DAXFS_SB(dir->i_sb);
	struct daxfs_dir_batch batch __uninitialized;
	struct daxfs_err err;
	int ret, id;

	if (ctx->pos == 2)
		WRITE_ONCE(DAXFS_I(dir)->next, 0);
	while (ctx->pos - 2 < node->count) {
		if (!daxfs_region_read_lock(sbi, &id))
			return -EIO;
		ret = daxfs_dir_read(&sbi->image, node, ctx->pos - 2, DAXFS_BATCH_ENTRIES,
				     &batch, &err);
		/* The reader's memory is written outside: it may make us wait. */
		daxfs_region_read_unlock(sbi, id);
		if (ret == -EUCLEAN)
			daxfs_report(dir->i_sb, &err);
		if (ret)
			return ret;
		if (!daxfs_dir_emit_batch(ctx, &batch))
			break;
	}
	return 0;
}

static int daxfs_iterate(struct file *file, struct dir_context *ctx)
{
	if (!dir_emit_dots(file, ctx))
		return 0;
	return daxfs_dir_emit(file_inode(file), ctx);
}

const struct file_operations daxfs_dir_operations = {
	.llseek		= generic_file_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= daxfs_iterate,
	.setlease	= generic_setlease,
};

const struct inode_operations daxfs_dir_inode_operations = {
	.lookup		= daxfs_lookup,
	.getattr	= daxfs_getattr,
	.listxattr	= daxfs_listxattr,
	.get_inode_acl	= daxfs_get_acl,
};
