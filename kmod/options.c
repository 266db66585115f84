// SPDX-License-Identifier: GPL-2.0-only
/* Mount options: read, compared, shown. */
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/security.h>
#include <linux/seq_file.h>

#include "daxfs.h"

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

const struct fs_parameter_spec daxfs_parameters[] = {
	fsparam_string("digest", DAXFS_OPT_DIGEST),
	fsparam_fd("dmabuf", DAXFS_OPT_DMABUF),
	fsparam_enum("fault", DAXFS_OPT_FAULT, daxfs_fault_paths),
	fsparam_string("phys", DAXFS_OPT_PHYS),
	fsparam_string("size", DAXFS_OPT_SIZE),
	fsparam_flag("validate", DAXFS_OPT_VALIDATE),
	{}
};

/* A number of bytes: decimal or 0x, with K, M, G, T. */
static int daxfs_parse_bytes(struct fs_context *fc, struct fs_parameter *param, u64 *to)
{
	char *end;

	*to = memparse(param->string, &end);
	if (end == param->string || *end)
		return invalf(fc, "daxfs: %s=%s: expected bytes, such as 0x100000000 or 256M",
			      param->key, param->string);
	return 0;
}

/* As mkdaxfs --digest prints it: XXH3-128 or SHA-256. */
static int daxfs_parse_digest(struct fs_context *fc, struct fs_parameter *param,
			      struct daxfs_options *options)
{
	size_t digits = strlen(param->string);

	memset(options->digest, 0, sizeof(options->digest));
	if ((digits != 32 && digits != 64) || hex2bin(options->digest, param->string, digits / 2))
		return invalf(fc, "daxfs: digest=%s: expected 32 or 64 hexadecimal digits",
			      param->string);
	options->has_digest = true;
	return 0;
}

static int daxfs_parse_phys(struct fs_context *fc, struct fs_parameter *param,
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
	return daxfs_parse_bytes(fc, param, &options->phys);
}

static int daxfs_parse_dmabuf(struct fs_context *fc, struct fs_parameter *param,
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

int daxfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct daxfs_options *options = &((struct daxfs_sb_info *)fc->s_fs_info)->options;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, daxfs_parameters, param, &result);
	if (opt < 0)
		return opt;
	switch (opt) {
	case DAXFS_OPT_DIGEST:
		return daxfs_parse_digest(fc, param, options);
	case DAXFS_OPT_DMABUF:
		return daxfs_parse_dmabuf(fc, param, options);
	case DAXFS_OPT_FAULT:
		options->iomap = result.uint_32;
		options->has_fault = true;
		return 0;
	case DAXFS_OPT_PHYS:
		return daxfs_parse_phys(fc, param, options);
	case DAXFS_OPT_VALIDATE:
		options->validate = true;
		return 0;
	case DAXFS_OPT_SIZE:
		options->has_size = true;
		return daxfs_parse_bytes(fc, param, &options->size);
	default:
		return -EINVAL;
	}
}

/* Is the source a device-dax? Then its number goes into the options. */
int daxfs_parse_source(struct fs_context *fc, struct daxfs_options *options)
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

/* What a mount was made with stays so. mount(8) gives all of it again. */
bool daxfs_changes_options(const struct daxfs_options *want,
			   const struct daxfs_options *have)
{
	return (want->has_phys && (!have->has_phys || want->phys != have->phys)) ||
	       (want->has_size && (!have->has_size || want->size != have->size)) ||
	       (want->has_digest && (!have->has_digest ||
		memcmp(want->digest, have->digest, sizeof(have->digest)))) ||
	       (want->dmabuf && want->dmabuf != have->dmabuf) ||
	       (want->has_fault && want->iomap != have->iomap) ||
	       (want->validate && !have->validate);
}

int daxfs_show_options(struct seq_file *seq, struct dentry *root)
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
