// SPDX-License-Identifier: GPL-2.0-only
/* What goes wrong under a mount: values that break the format, memory that fails or goes away. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/printk.h>

#include "daxfs.h"

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

/*
 * Take a file's pages out of all processes; copies made by writes stay. What
 * fs/dax.c recorded names pages that may go.
 */
static void daxfs_unmap_file(struct inode *inode)
{
	unmap_mapping_range(inode->i_mapping, 0, 0, false);
	if (!mapping_empty(inode->i_mapping))
		daxfs_iomap_forget(inode);
}

/* Only these inodes are worth a reference. */
static bool daxfs_may_be_mapped(struct inode *inode)
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
		if (!daxfs_may_be_mapped(inode)) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		__iget(inode);
		spin_unlock(&inode->i_lock);
		spin_unlock(&sb->s_inode_list_lock);
		daxfs_unmap_file(inode);
		/* The list goes on from an inode that is held. */
		iput(last);
		last = inode;
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(last);
}

struct daxfs_failure {
	const void *memory;
	u64 off;
	u64 len;
};

static void daxfs_fail_mount(struct super_block *sb, void *data)
{
	struct daxfs_region *region = &DAXFS_SB(sb)->region;
	const struct daxfs_failure *failure = data;

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
	struct daxfs_failure failure = { .memory = memory, .off = off, .len = len };

	iterate_supers_type(&daxfs_type, daxfs_fail_mount, &failure);
	if (len == U64_MAX)
		daxfs_region_wait_closed(memory);
}
