// SPDX-License-Identifier: GPL-2.0-only
/* Mounting, unmounting, and what a mount says of itself. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "daxfs.h"
#include "trace.h"

static struct kmem_cache *daxfs_inode_cache;

/**
 * daxfs_report - one line on a value that breaks the format
 * @sb: the mount
 * @err: what the reader found
 */
void daxfs_report(const struct super_block *sb, const struct daxfs_err *err)
{
	pr_err_ratelimited("%s: inode %llu: bad %s 0x%llx, the image is corrupt\n",
			   sb->s_id, err->ino, err->field, err->value);
}

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

static int daxfs_show_options(struct seq_file *seq, struct dentry *root)
{
	const struct daxfs_options *options = &DAXFS_SB(root->d_sb)->options;
	struct dma_buf *dmabuf = options->dmabuf;
	char name[32];	/* as long as the kernel allows */

	/* As in /proc/iomem, the address is not for everyone. */
	if (options->has_phys && !file_ns_capable(seq->file, &init_user_ns, CAP_SYS_ADMIN))
		seq_printf(seq, ",phys=0x0,size=%llu", options->size);
	else if (options->has_phys)
		seq_printf(seq, ",phys=%pa,size=%llu", &options->phys, options->size);
	if (options->validate)
		seq_puts(seq, ",validate");
	if (dmabuf) {
		/* Its owner gives it a name, at any time. */
		spin_lock(&dmabuf->name_lock);
		strscpy(name, dmabuf->name ?: dmabuf->exp_name, sizeof(name));
		spin_unlock(&dmabuf->name_lock);
		seq_show_option(seq, "dmabuf", name);
	}
	if (options->iomap)
		seq_puts(seq, ",fault=iomap");
	if (options->has_digest)
		seq_printf(seq, ",digest=%*phN", (int)sizeof(options->digest), options->digest);
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
static int refuse_image(struct fs_context *fc, const struct daxfs_region *region,
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

static struct inode *open_root(struct super_block *sb)
{
	struct daxfs_err err = { .ino = DAXFS_ROOT_INO, .field = "mode" };
	struct inode *root;
	int id;

	if (!daxfs_enter(DAXFS_SB(sb), &id))
		return ERR_PTR(-EIO);
	root = daxfs_iget(sb, DAXFS_ROOT_INO);
	daxfs_exit(DAXFS_SB(sb), id);
	if (IS_ERR(root) || S_ISDIR(root->i_mode))
		return root;
	err.value = root->i_mode;
	daxfs_report(sb, &err);
	iput(root);
	return ERR_PTR(-EUCLEAN);
}

static int open_image(struct super_block *sb, struct fs_context *fc)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);
	struct daxfs_region *region = &sbi->region;
	struct daxfs_err err = {};
	struct inode *root;
	int ret, id;

	if (!daxfs_enter(sbi, &id))
		return refuse_image(fc, region, -EIO, &err);
	ret = daxfs_image_open(&sbi->image, region->base, region->size, &err);
	daxfs_exit(sbi, id);
	if (!ret && sbi->options.validate)
		ret = daxfs_validate(sbi, &err);
	if (ret)
		return refuse_image(fc, region, ret, &err);
	root = open_root(sb);
	if (IS_ERR(root))
		return PTR_ERR(root);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

/* Is it the image whose root digest digest= names? */
static int check_digest(const struct daxfs_options *options,
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
	ret = open_image(sb, fc);
	if (!ret && sbi->options.iomap)
		ret = daxfs_iomap_check(sbi, fc);
	if (!ret)
		ret = check_digest(&sbi->options, &sbi->image, fc);
	if (ret)
		return ret;
	super_set_uuid(sb, sbi->image.uuid, sizeof(sbi->image.uuid));
	trace_daxfs_mount(sb, sbi->image.size, sbi->image.inode_count);
	pr_info("%s: mounted, %llu inodes, %llu bytes\n", sb->s_id,
		sbi->image.inode_count, sbi->image.size);
	return 0;
}

/* Mounts of one range or dma-buf share a super block, as those of a device do. */
static int same_memory(struct super_block *sb, struct fs_context *fc)
{
	const struct daxfs_sb_info *want = fc->s_fs_info;
	const struct daxfs_options *have = &DAXFS_SB(sb)->options;

	return !MAJOR(sb->s_dev) && have->dmabuf == want->options.dmabuf &&
	       have->dax == want->options.dax && have->phys == want->options.phys && have->size == want->options.size;
}

static int get_tree_memory(struct fs_context *fc)
{
	struct super_block *sb = sget_fc(fc, same_memory, set_anon_super_fc);
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
static int join_mount(struct fs_context *fc)
{
	const struct daxfs_sb_info *want = fc->s_fs_info;
	struct super_block *sb = fc->root->d_sb;
	const struct daxfs_sb_info *have = DAXFS_SB(sb);
	int ret = check_digest(&want->options, &have->image, fc);

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

/* Is the source a device-dax? Then its number goes into the options. */
static int look_at_source(struct fs_context *fc, struct daxfs_options *options)
{
	struct inode *inode;
	struct path path;
	int ret;

	if (!fc->source || kern_path(fc->source, LOOKUP_FOLLOW, &path))
		return 0;
	inode = d_backing_inode(path.dentry);
	/* The core makes a dax device of any number it is asked for. */
	ret = 0;
	if (S_ISCHR(inode->i_mode) && strstarts(path.dentry->d_name.name, "dax"))
		options->dax = inode->i_rdev;
	if (options->dax && (path.mnt->mnt_flags & MNT_NODEV))
		ret = -EACCES;
	path_put(&path);
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
		ret = look_at_source(fc, options);
	if (ret)
		return ret;
	if (options->has_phys || options->dmabuf || options->dax)
		ret = get_tree_memory(fc);
	else
		ret = get_tree_bdev(fc, daxfs_fill_super);
	return ret || !fc->s_fs_info ? ret : join_mount(fc);
}

/* What a mount was made with stays so. mount(8) gives all of it again. */
static bool changes_options(const struct daxfs_options *want, const struct daxfs_options *have)
{
	return (want->has_phys && (!have->has_phys || want->phys != have->phys)) ||
	       (want->has_size && (!have->has_size || want->size != have->size)) ||
	       (want->has_digest && (!have->has_digest ||
		memcmp(want->digest, have->digest, sizeof(have->digest)))) ||
	       (want->dmabuf && want->dmabuf != have->dmabuf) ||
	       (want->has_fault && want->iomap != have->iomap) ||
	       (want->validate && !have->validate);
}

static int daxfs_reconfigure(struct fs_context *fc)
{
	const struct daxfs_sb_info *want = fc->s_fs_info;

	if (fc->sb_flags_mask & ~fc->sb_flags & SB_RDONLY) {
		errorf(fc, "daxfs: an image is never writable");
		return -EROFS;
	}
	if (changes_options(&want->options, &DAXFS_SB(fc->root->d_sb)->options))
		return invalf(fc, "daxfs: options cannot be changed by a remount: unmount it first");
	return 0;
}

enum {
	DAXFS_OPT_DIGEST,
	DAXFS_OPT_DMABUF,
	DAXFS_OPT_FAULT,
	DAXFS_OPT_PHYS,
	DAXFS_OPT_SIZE,
	DAXFS_OPT_VALIDATE,
};

static const struct constant_table daxfs_fault_paths[] = {
	{ "map-ahead", false },
	{ "iomap", true },
	{}
};

static const struct fs_parameter_spec daxfs_parameters[] = {
	fsparam_string("digest", DAXFS_OPT_DIGEST),
	fsparam_fd("dmabuf", DAXFS_OPT_DMABUF),
	fsparam_enum("fault", DAXFS_OPT_FAULT, daxfs_fault_paths),
	fsparam_string("phys", DAXFS_OPT_PHYS),
	fsparam_string("size", DAXFS_OPT_SIZE),
	fsparam_flag("validate", DAXFS_OPT_VALIDATE),
	{}
};

/* A number of bytes: decimal or 0x, with K, M, G, T. */
static int parse_bytes(struct fs_context *fc, struct fs_parameter *param, u64 *to)
{
	char *end;

	*to = memparse(param->string, &end);
	if (end == param->string || *end)
		return invalf(fc, "daxfs: %s=%s: wanted bytes, such as 0x100000000 or 256M",
			      param->key, param->string);
	return 0;
}

/* As mkdaxfs --digest prints it: XXH3-128 or SHA-256. */
static int parse_digest(struct fs_context *fc, struct fs_parameter *param,
			struct daxfs_options *options)
{
	size_t digits = strlen(param->string);

	memset(options->digest, 0, sizeof(options->digest));
	if ((digits != 32 && digits != 64) || hex2bin(options->digest, param->string, digits / 2))
		return invalf(fc, "daxfs: digest=%s: wanted 32 or 64 hexadecimal digits",
			      param->string);
	options->has_digest = true;
	return 0;
}

static int parse_phys(struct fs_context *fc, struct fs_parameter *param,
		      struct daxfs_options *options)
{
	if (!capable(CAP_SYS_ADMIN)) {
		errorf(fc, "daxfs: phys= needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	if (security_locked_down(LOCKDOWN_DEV_MEM)) {
		errorf(fc, "daxfs: phys= is refused while the kernel is locked down");
		return -EPERM;
	}
	options->has_phys = true;
	return parse_bytes(fc, param, &options->phys);
}

static int parse_dmabuf(struct fs_context *fc, struct fs_parameter *param,
			struct daxfs_options *options)
{
	struct dma_buf *dmabuf;
	int fd;

	if (param->type != fs_value_is_file)
		return invalf(fc,
			      "daxfs: dmabuf= takes a file descriptor by fsconfig(FSCONFIG_SET_FD), as mount.daxfs gives it");
	/* A file is known as a dma-buf only by a descriptor, and 6.1 tells none. */
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	fd_install(fd, get_file(param->file));
	dmabuf = dma_buf_get(fd);
	close_fd(fd);
	if (!IS_ERR(dmabuf) && dmabuf->file == param->file && !options->dmabuf) {
		options->dmabuf = dmabuf;
		return 0;
	}
	if (!IS_ERR(dmabuf))
		dma_buf_put(dmabuf);
	return invalf(fc, "daxfs: dmabuf=: this file is no dma-buf, or a second one");
}

static int daxfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct daxfs_options *options = &((struct daxfs_sb_info *)fc->s_fs_info)->options;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, daxfs_parameters, param, &result);
	if (opt < 0)
		return opt;
	switch (opt) {
	case DAXFS_OPT_DIGEST:
		return parse_digest(fc, param, options);
	case DAXFS_OPT_DMABUF:
		return parse_dmabuf(fc, param, options);
	case DAXFS_OPT_FAULT:
		options->iomap = result.uint_32;
		options->has_fault = true;
		return 0;
	case DAXFS_OPT_PHYS:
		return parse_phys(fc, param, options);
	case DAXFS_OPT_VALIDATE:
		options->validate = true;
		return 0;
	default:
		options->has_size = true;
		return parse_bytes(fc, param, &options->size);
	}
}

static void free_sb_info(struct daxfs_sb_info *sbi)
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
	free_sb_info(fc->s_fs_info);
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
	free_sb_info(sbi);
}

static struct file_system_type daxfs_type = {
	.owner			= THIS_MODULE,
	.name			= "daxfs",
	.init_fs_context	= daxfs_init_fs_context,
	.parameters		= daxfs_parameters,
	.kill_sb		= daxfs_kill_sb,
	.fs_flags		= FS_ALLOW_IDMAP,
};
MODULE_ALIAS_FS("daxfs");
MODULE_IMPORT_NS(DAXFS_DMA_BUF_NS);

/*
 * Take a file's pages out of all processes; copies made by writes stay. What
 * fs/dax.c recorded names pages that may go.
 */
static void unmap_file(struct inode *inode)
{
	unmap_mapping_range(inode->i_mapping, 0, 0, false);
	if (!mapping_empty(inode->i_mapping))
		daxfs_iomap_forget(inode);
}

/* Only these inodes are worth a reference. */
static bool may_be_mapped(struct inode *inode)
{
	return S_ISREG(inode->i_mode) &&
	       (mapping_mapped(inode->i_mapping) || !mapping_empty(inode->i_mapping)) &&
	       !(daxfs_inode_state(inode) & (I_NEW | I_FREEING | I_WILL_FREE));
}

/**
 * daxfs_unmap_files - take all pages of a mount out of all processes
 * @sb: the mount, which cannot end meanwhile
 */
void daxfs_unmap_files(struct super_block *sb)
{
	struct inode *inode, *last = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		spin_lock(&inode->i_lock);
		if (!may_be_mapped(inode)) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		__iget(inode);
		spin_unlock(&inode->i_lock);
		spin_unlock(&sb->s_inode_list_lock);
		unmap_file(inode);
		/* The list goes on from an inode that is held. */
		iput(last);
		last = inode;
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(last);
}

struct failure {
	const void *memory;
	u64 off;
	u64 len;
};

static void fail_mount(struct super_block *sb, void *data)
{
	struct daxfs_region *region = &DAXFS_SB(sb)->region;
	const struct failure *failure = data;

	if (!region->ops || (region->dax != failure->memory && region->pagemap != failure->memory))
		return;
	daxfs_region_fail(DAXFS_SB(sb), failure->off, failure->len);
	daxfs_unmap_files(sb);
	if (region->gone) {
		daxfs_region_drop_pages(region, sb);
		pr_err("%s: the memory went away: files give EIO and SIGBUS\n", sb->s_id);
	} else {
		pr_err("%s: %llu bytes at 0x%llx of the device failed\n", sb->s_id,
		       failure->len, failure->off);
	}
}

/**
 * daxfs_memory_failed - part of a memory failed, or all of it goes away
 * @memory: its dax device or pagemap
 * @off: bytes from its start
 * @len: bytes; U64_MAX when it goes away, after which nobody uses it
 *
 * Unlike what the device knows of its holder, the list of mounts is safe
 * against an unmount at the same time.
 */
void daxfs_memory_failed(const void *memory, u64 off, u64 len)
{
	struct failure failure = { .memory = memory, .off = off, .len = len };

	iterate_supers_type(&daxfs_type, fail_mount, &failure);
	if (len == U64_MAX)
		daxfs_region_wait_closed(memory);
}

static void init_inode_once(void *object)
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
					      init_inode_once);
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
MODULE_DESCRIPTION("Read-only filesystem on shared, byte-addressable memory");
MODULE_LICENSE("GPL");
