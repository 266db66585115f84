// SPDX-License-Identifier: GPL-2.0-only
/* Mounting, unmounting, and what a mount says of itself. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/dma-buf.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "daxfs.h"
#include "trace.h"

static struct kmem_cache *daxfs_inode_cache;

static struct inode *daxfs_alloc_inode(struct super_block *sb)
{
	struct daxfs_inode_info *info =
		alloc_inode_sb(sb, daxfs_inode_cache, GFP_KERNEL);

	return info ? &info->vfs_inode : NULL;
}

static void daxfs_evict_inode(struct inode *inode)
{
	/* There is something only with fault=iomap. */
	if (!mapping_empty(inode->i_mapping))
		daxfs_iomap_forget(inode);
	truncate_inode_pages_final(inode->i_mapping);
	clear_inode(inode);
}

static void daxfs_free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	kmem_cache_free(daxfs_inode_cache, DAXFS_I(inode));
}

static int daxfs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	const struct daxfs_image *image = &DAXFS_SB(dentry->d_sb)->image;

	buf->f_type = DAXFS_SUPER_MAGIC;
	buf->f_bsize = DAXFS_BLOCK_SIZE;
	buf->f_blocks = image->size >> DAXFS_BLOCK_SHIFT;
	buf->f_files = image->inode_count;
	buf->f_namelen = DAXFS_NAME_MAX;
	buf->f_fsid = uuid_to_fsid((__u8 *)image->uuid);
	return 0;
}

/* The device under the mount was removed, whoever noticed it. */
static void __maybe_unused daxfs_shutdown(struct super_block *sb)
{
	daxfs_region_fail(DAXFS_SB(sb), 0, U64_MAX);
	daxfs_unmap_files(sb);
}

static const struct super_operations daxfs_super_operations = {
	.alloc_inode	= daxfs_alloc_inode,
	.free_inode	= daxfs_free_inode,
	.evict_inode	= daxfs_evict_inode,
	DAXFS_SHUTDOWN(daxfs_shutdown)
	.statfs		= daxfs_statfs,
	.show_options	= daxfs_show_options,
};

/* Say in the mount's own log why the image was not taken. */
static int daxfs_refuse_image(struct fs_context *fc, const struct daxfs_region *region,
			      int ret, const struct daxfs_err *err)
{
	if (ret == -EINVAL)
		errorf(fc, "daxfs: no DAXFS image here: %s is 0x%llx", err->field,
		       err->value);
	else if (ret == -EOPNOTSUPP)
		errorf(fc, "daxfs: needs format %s 0x%llx, unknown here: a later DAXFS is needed",
		       err->field, err->value);
	else if (ret == -EUCLEAN && err->ino)
		errorf(fc, "daxfs: inode %llu: bad %s 0x%llx, the image is corrupt",
		       err->ino, err->field, err->value);
	else if (ret == -EUCLEAN)
		errorf(fc,
		       "daxfs: bad superblock: %s is 0x%llx in a region of %llu bytes: truncated or corrupt",
		       err->field, err->value, region->size);
	else
		errorf(fc, "daxfs: the region cannot be read (%d)", ret);
	return ret;
}

static struct inode *daxfs_open_root(struct super_block *sb)
{
	struct daxfs_err err = { .ino = DAXFS_ROOT_INO, .field = "mode" };
	struct inode *root;
	int id;

	if (!daxfs_region_read_lock(DAXFS_SB(sb), &id))
		return ERR_PTR(-EIO);
	root = daxfs_iget(sb, DAXFS_ROOT_INO);
	daxfs_region_read_unlock(DAXFS_SB(sb), id);
	if (IS_ERR(root) || S_ISDIR(root->i_mode))
		return root;
	err.value = root->i_mode;
	daxfs_report(sb, &err);
	iput(root);
	return ERR_PTR(-EUCLEAN);
}

static int daxfs_open_image(struct super_block *sb, struct fs_context *fc)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);
	struct daxfs_region *region = &sbi->region;
	struct daxfs_err err = {};
	struct inode *root;
	int ret, id;

	if (!daxfs_region_read_lock(sbi, &id))
		return daxfs_refuse_image(fc, region, -EIO, &err);
	ret = daxfs_image_open(&sbi->image, region->base, region->size, &err);
	daxfs_region_read_unlock(sbi, id);
	if (!ret && sbi->options.validate)
		ret = daxfs_validate(sbi, &err);
	if (ret)
		return daxfs_refuse_image(fc, region, ret, &err);
	root = daxfs_open_root(sb);
	if (IS_ERR(root))
		return PTR_ERR(root);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

/* Is it the image whose root digest digest= names? */
static int daxfs_check_digest(const struct daxfs_options *options,
			      const struct daxfs_image *image, struct fs_context *fc)
{
	if (!options->has_digest)
		return 0;
	if (!(image->compat & DAXFS_COMPAT_DIGESTS))
		return invalf(fc, "daxfs: digest=: this image was made without --digest");
	if (memcmp(options->digest, image->root_digest, sizeof(options->digest)))
		return invalf(fc, "daxfs: digest=: this is another image, its root digest is %*phN",
			      (int)sizeof(image->root_digest), image->root_digest);
	return 0;
}

static int daxfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);
	int ret;

	sb->s_magic = DAXFS_SUPER_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_flags |= SB_RDONLY | SB_NOATIME | SB_POSIXACL;
	sb->s_op = &daxfs_super_operations;
	sb->s_xattr = daxfs_xattr_handlers;
	sb->s_export_op = &daxfs_export_operations;
	sb->s_time_gran = 1;
	sb->s_time_min = S64_MIN;
	sb->s_time_max = S64_MAX;
	/* Who writes the memory changes files without a trace: no verdict on them lasts. */
	sb->s_iflags |= SB_I_IMA_UNVERIFIABLE_SIGNATURE;

	if (PAGE_SIZE != DAXFS_BLOCK_SIZE)
		return invalf(fc,
			      "daxfs: this kernel has pages of %lu bytes, an image has blocks of %u: both must be the same to be mapped",
			      PAGE_SIZE, DAXFS_BLOCK_SIZE);
	if (sb->s_bdev) {
		if (!sb_set_blocksize(sb, DAXFS_BLOCK_SIZE))
			return invalf(fc, "daxfs: %pg has no blocks of %u bytes", sb->s_bdev,
				      DAXFS_BLOCK_SIZE);
	} else {
		sb->s_blocksize = DAXFS_BLOCK_SIZE;
		sb->s_blocksize_bits = DAXFS_BLOCK_SHIFT;
	}
	ret = daxfs_region_open(sb, fc);
	if (ret)
		return ret;
	ret = daxfs_open_image(sb, fc);
	if (!ret && sbi->options.iomap)
		ret = daxfs_iomap_check(sbi, fc);
	if (!ret)
		ret = daxfs_check_digest(&sbi->options, &sbi->image, fc);
	if (ret)
		return ret;
	super_set_uuid(sb, sbi->image.uuid, sizeof(sbi->image.uuid));
	trace_daxfs_mount(sb, sbi->image.size, sbi->image.inode_count);
	pr_info("%s: mounted, %llu inodes, %llu bytes\n", sb->s_id,
		sbi->image.inode_count, sbi->image.size);
	return 0;
}

/* Mounts of one range or dma-buf share a super block, as those of a device do. */
static int daxfs_same_memory(struct super_block *sb, struct fs_context *fc)
{
	const struct daxfs_sb_info *want = fc->s_fs_info;
	const struct daxfs_options *have = &DAXFS_SB(sb)->options;

	return !MAJOR(sb->s_dev) && have->dmabuf == want->options.dmabuf &&
	       have->dax == want->options.dax && have->phys == want->options.phys &&
	       have->size == want->options.size;
}

static int daxfs_get_tree_memory(struct fs_context *fc)
{
	struct super_block *sb = sget_fc(fc, daxfs_same_memory, set_anon_super_fc);
	int ret;

	if (IS_ERR(sb))
		return PTR_ERR(sb);
	if (!sb->s_root) {
		ret = daxfs_fill_super(sb, fc);
		if (ret) {
			deactivate_locked_super(sb);
			return ret;
		}
		sb->s_flags |= SB_ACTIVE;
	}
	fc->root = dget(sb->s_root);
	return 0;
}

/* What is mounted already is mounted once more: can it be what is asked for? */
static int daxfs_join_mount(struct fs_context *fc)
{
	const struct daxfs_sb_info *want = fc->s_fs_info;
	struct super_block *sb = fc->root->d_sb;
	const struct daxfs_sb_info *have = DAXFS_SB(sb);
	int ret = daxfs_check_digest(&want->options, &have->image, fc);

	if (!ret && want->options.iomap != have->options.iomap) {
		errorf(fc, "daxfs: %s is mounted with fault=%s: give that, or unmount it first",
		       sb->s_id, have->options.iomap ? "iomap" : "map-ahead");
		ret = -EBUSY;
	}
	if (ret) {
		dput(fc->root);
		fc->root = NULL;
		deactivate_locked_super(sb);
	}
	return ret;
}

static int daxfs_get_tree(struct fs_context *fc)
{
	struct daxfs_options *options = &((struct daxfs_sb_info *)fc->s_fs_info)->options;
	int ret = 0;

	fc->sb_flags |= SB_RDONLY;
	if (options->has_phys && options->dmabuf)
		return invalf(fc, "daxfs: phys= and dmabuf= name two memories: give one");
	if (options->has_size && !options->has_phys)
		return invalf(fc, "daxfs: size= belongs to phys=ADDR");
	if (!options->has_phys && !options->dmabuf)
		ret = daxfs_parse_source(fc, options);
	if (ret)
		return ret;
	if (options->has_phys || options->dmabuf || options->dax)
		ret = daxfs_get_tree_memory(fc);
	else
		ret = get_tree_bdev(fc, daxfs_fill_super);
	return ret || !fc->s_fs_info ? ret : daxfs_join_mount(fc);
}

static int daxfs_reconfigure(struct fs_context *fc)
{
	const struct daxfs_sb_info *want = fc->s_fs_info;

	if (fc->sb_flags_mask & ~fc->sb_flags & SB_RDONLY) {
		errorf(fc, "daxfs: an image is never writable");
		return -EROFS;
	}
	if (daxfs_changes_options(&want->options, &DAXFS_SB(fc->root->d_sb)->options))
		return invalf(fc,
			      "daxfs: options cannot be changed by a remount: unmount it first");
	return 0;
}

static void daxfs_free_sb_info(struct daxfs_sb_info *sbi)
{
	if (!sbi)
		return;
	daxfs_region_close(&sbi->region);
	if (sbi->options.dmabuf)
		dma_buf_put(sbi->options.dmabuf);
	mtree_destroy(&sbi->owners);
	cleanup_srcu_struct(&sbi->srcu);
	kfree(sbi);
}

static void daxfs_free_fc(struct fs_context *fc)
{
	daxfs_free_sb_info(fc->s_fs_info);
}

static const struct fs_context_operations daxfs_context_ops = {
	.parse_param	= daxfs_parse_param,
	.get_tree	= daxfs_get_tree,
	.reconfigure	= daxfs_reconfigure,
	.free		= daxfs_free_fc,
};

static int daxfs_init_fs_context(struct fs_context *fc)
{
	struct daxfs_sb_info *sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);

	if (!sbi)
		return -ENOMEM;
	if (init_srcu_struct(&sbi->srcu)) {
		kfree(sbi);
		return -ENOMEM;
	}
	mt_init(&sbi->owners);
	fc->s_fs_info = sbi;
	fc->ops = &daxfs_context_ops;
	return 0;
}

static void daxfs_kill_sb(struct super_block *sb)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);

	if (sbi)
		daxfs_region_closing(&sbi->region);
	/* s_bdev is not set where the device could not be opened. */
	if (MAJOR(sb->s_dev))
		kill_block_super(sb);
	else
		kill_anon_super(sb);
	daxfs_free_sb_info(sbi);
}

struct file_system_type daxfs_type = {
	.owner			= THIS_MODULE,
	.name			= "daxfs",
	.init_fs_context	= daxfs_init_fs_context,
	.parameters		= daxfs_parameters,
	.kill_sb		= daxfs_kill_sb,
	.fs_flags		= FS_ALLOW_IDMAP,
};
MODULE_ALIAS_FS("daxfs");
MODULE_IMPORT_NS(DAXFS_DMA_BUF_NS);

static void daxfs_init_inode_once(void *object)
{
	struct daxfs_inode_info *info = object;

	inode_init_once(&info->vfs_inode);
}

static int __init daxfs_init(void)
{
	int ret;

	daxfs_fault_init();
	daxfs_inode_cache = kmem_cache_create("daxfs_inode",
					      sizeof(struct daxfs_inode_info), 0,
					      SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					      daxfs_init_inode_once);
	if (!daxfs_inode_cache)
		return -ENOMEM;
	ret = register_filesystem(&daxfs_type);
	if (ret)
		kmem_cache_destroy(daxfs_inode_cache);
	return ret;
}

static void __exit daxfs_exit_module(void)
{
	unregister_filesystem(&daxfs_type);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(daxfs_inode_cache);
}

module_init(daxfs_init);
module_exit(daxfs_exit_module);
MODULE_AUTHOR("DAXFS developers");
MODULE_DESCRIPTION("Read-only filesystem on shared, byte-addressable memory");
MODULE_LICENSE("GPL");
