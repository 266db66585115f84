/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module's files share. */
#ifndef DAXFS_H
#define DAXFS_H

#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/pfn.h>

#include "compat.h"
#include "image.h"

struct daxfs_region;

/**
 * struct daxfs_region_ops - one kind of memory behind a mount
 * @enter: begin touching the memory; false when it is gone
 * @exit: end of touching it, with what @enter stored
 * @close: give the memory back
 */
struct daxfs_region_ops {
	bool (*enter)(struct daxfs_region *region, int *cookie);
	void (*exit)(struct daxfs_region *region, int cookie);
	void (*close)(struct daxfs_region *region);
};

/**
 * struct daxfs_region - contiguous memory that holds an image
 * @ops: what kind it is; NULL when closed
 * @base: its address in the kernel
 * @pfn: its first page frame
 * @size: bytes
 * @has_pages: frames have a struct page of a device (get_user_pages works)
 * @dax: the dax device, where there is one
 * @phys: physical range claimed by phys=, else NULL
 */
struct daxfs_region {
	const struct daxfs_region_ops *ops;
	void *base;
	unsigned long pfn;
	u64 size;
	bool has_pages;
	struct dax_device *dax;
	struct resource *phys;
};

/* Mount options as given; also the key that tells two phys= mounts apart. */
struct daxfs_options {
	phys_addr_t phys;
	u64 size;
	bool has_phys;
	bool has_size;
};

struct daxfs_sb_info {
	struct daxfs_image image;
	struct daxfs_region region;
	struct daxfs_options options;
};

struct daxfs_inode_info {
	struct daxfs_node node;
	u32 parent;		/* directories: the parent's inode number */
	struct inode vfs_inode;
};

static inline struct daxfs_sb_info *DAXFS_SB(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct daxfs_inode_info *DAXFS_I(const struct inode *inode)
{
	return container_of(inode, struct daxfs_inode_info, vfs_inode);
}

/*
 * Every access to the region's memory lies between these two. A region whose
 * driver went away refuses, and is not unmapped while someone is inside.
 */
static inline bool daxfs_enter(struct daxfs_sb_info *sbi, int *cookie)
{
	struct daxfs_region *region = &sbi->region;

	return !region->ops->enter || region->ops->enter(region, cookie);
}

static inline void daxfs_exit(struct daxfs_sb_info *sbi, int cookie)
{
	struct daxfs_region *region = &sbi->region;

	if (region->ops->exit)
		region->ops->exit(region, cookie);
}

/* region.c */
int daxfs_region_open_bdev(struct daxfs_region *region, struct fs_context *fc,
			   struct block_device *bdev);
int daxfs_region_open_phys(struct daxfs_region *region, struct fs_context *fc,
			   phys_addr_t phys, u64 size);
void daxfs_region_close(struct daxfs_region *region);

/* super.c */
void daxfs_report(const struct super_block *sb, const struct daxfs_err *err);

/* inode.c */
struct inode *daxfs_iget(struct super_block *sb, u64 ino);
int daxfs_getattr(daxfs_idmap *idmap, const struct path *path,
		  struct kstat *stat, u32 request_mask, unsigned int flags);

/* dir.c */
extern const struct file_operations daxfs_dir_operations;
extern const struct inode_operations daxfs_dir_inode_operations;

/* file.c */
extern const struct file_operations daxfs_file_operations;

/* fault.c */
int daxfs_file_mmap(struct file *file, struct vm_area_struct *vma);

/* xattr.c */
extern daxfs_xattr_table daxfs_xattr_handlers[];
ssize_t daxfs_listxattr(struct dentry *dentry, char *buffer, size_t size);

#endif /* DAXFS_H */
