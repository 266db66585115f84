/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module's files share. */
#ifndef DAXFS_H
#define DAXFS_H

#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/memremap.h>
#include <linux/pfn.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include "compat.h"
#include "image.h"

struct daxfs_region;

/**
 * struct daxfs_region_ops - one kind of memory behind a mount
 * @open: claim and map what the options or the device of @sb name
 * @close: give the memory back
 * @frame: page frame at an offset, for memory that is not contiguous; else NULL
 */
struct daxfs_region_ops {
	int (*open)(struct daxfs_region *region, struct fs_context *fc,
		    struct super_block *sb);
	void (*close)(struct daxfs_region *region);
	unsigned long (*frame)(const struct daxfs_region *region, u64 off);
};

/**
 * struct daxfs_region - memory that holds an image, contiguous for the kernel
 * @ops: what kind it is; NULL when closed
 * @base: its address in the kernel
 * @pfn: its first page frame, where frames are contiguous
 * @size: bytes
 * @linear: there, frames contiguous, and none known to be bad
 * @gone: the device went away: never touch the memory again
 * @has_pages: frames have a struct page of a device (get_user_pages works)
 * @write_combined: user mappings must be, too
 * @dax: the dax device, where there is one
 * @dax_start: where in it the region starts, in bytes
 * @dmabuf: the dma-buf, where it is one
 * @pagemap: the struct pages that were made for a physical range
 * @mapped: a bit for each aligned 2 MiB of frames of which a page was ever
 *	mapped; NULL without pages
 * @bad: pages that failed, by page offset
 * @closing: in the list of those that wait for their pages
 */
struct daxfs_region {
	const struct daxfs_region_ops *ops;
	void *base;
	unsigned long pfn;
	u64 size;
	bool linear;
	bool gone;
	bool has_pages;
	bool write_combined;
	struct dax_device *dax;
	u64 dax_start;
	struct dma_buf *dmabuf;
	struct dev_pagemap *pagemap;
	unsigned long *mapped;
	struct xarray bad;
	struct list_head closing;
};

/**
 * struct daxfs_options - mount options as given
 * @phys: start of the physical range
 * @size: its bytes
 * @dax: number of the device-dax that the source names, or 0
 * @has_phys: phys= was given
 * @has_size: size= was given
 * @validate: all metadata is read before the mount
 * @dmabuf: what dmabuf= named, a reference; or NULL
 * @has_fault: fault= was given
 * @iomap: it was iomap: the kernel's own DAX paths
 * @has_digest: digest= was given
 * @digest: the root digest the image must have, then 0
 */
struct daxfs_options {
	phys_addr_t phys;
	u64 size;
	dev_t dax;
	bool has_phys;
	bool has_size;
	bool validate;
	struct dma_buf *dmabuf;
	bool has_fault;
	bool iomap;
	bool has_digest;
	u8 digest[32];
};

struct daxfs_sb_info {
	struct daxfs_image image;
	struct daxfs_region region;
	struct daxfs_options options;
	struct srcu_struct srcu;	/* held inside the region */
	struct maple_tree owners;	/* fault=iomap: of the blocks, inodes */
};

struct daxfs_inode_info {
	struct daxfs_node node;
	u32 parent;		/* directories: the parent's inode number */
	u32 next;		/* directories: entry behind the last one looked up */
	bool owned;		/* fault=iomap: its blocks are its own */
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
 * Every access to the region's memory lies between these two. A region that
 * went away refuses, and does not go while someone is inside. Whoever is inside
 * waits for no user's memory: a fault on it may last as long as the user likes.
 */
static inline bool daxfs_region_read_lock(struct daxfs_sb_info *sbi, int *cookie)
{
	*cookie = srcu_read_lock(&sbi->srcu);
	if (likely(!READ_ONCE(sbi->region.gone)))
		return true;
	srcu_read_unlock(&sbi->srcu, *cookie);
	return false;
}

static inline void daxfs_region_read_unlock(struct daxfs_sb_info *sbi, int cookie)
{
	srcu_read_unlock(&sbi->srcu, cookie);
}

/* memory/ */
extern const struct daxfs_region_ops daxfs_pmem_ops;
extern const struct daxfs_region_ops daxfs_device_dax_ops;
extern const struct daxfs_region_ops daxfs_phys_ops;
extern const struct daxfs_region_ops daxfs_dmabuf_ops;
int daxfs_region_open(struct super_block *sb, struct fs_context *fc);
void daxfs_region_closing(struct daxfs_region *region);
void daxfs_region_close(struct daxfs_region *region);
void daxfs_region_fail(struct daxfs_sb_info *sbi, u64 off, u64 len);
void daxfs_region_drop_pages(struct daxfs_region *region, struct super_block *sb);
void daxfs_region_wait_closed(const struct dax_device *dax);
u64 daxfs_region_good(struct daxfs_region *region, u64 off, u64 want);
unsigned long daxfs_region_pfns_slow(struct daxfs_region *region, u64 off,
				     unsigned long max, unsigned long *pfn);

/**
 * daxfs_region_pfns - page frames behind a range of the region
 * @region: the memory, entered
 * @off: bytes from its start, page aligned
 * @max: pages wanted, more than 0
 * @pfn: set to the first page frame
 *
 * Return: how many frames from *@pfn on are contiguous and good, up to @max;
 * 0 when the page at @off is known to be bad.
 */
static inline unsigned long daxfs_region_pfns(struct daxfs_region *region, u64 off,
					      unsigned long max, unsigned long *pfn)
{
	if (unlikely(!READ_ONCE(region->linear)))
		return daxfs_region_pfns_slow(region, off, max, pfn);
	*pfn = region->pfn + (off >> PAGE_SHIFT);
	return max;
}

/* The aligned 2 MiB of frames that a frame lies in, counted from the region's first. */
static inline unsigned long daxfs_region_window_of(const struct daxfs_region *region,
						   unsigned long pfn)
{
	return (pfn >> (PMD_SHIFT - PAGE_SHIFT)) - (region->pfn >> (PMD_SHIFT - PAGE_SHIFT));
}

static inline unsigned long daxfs_region_windows(const struct daxfs_region *region)
{
	return daxfs_region_window_of(region, region->pfn + (region->size >> PAGE_SHIFT) - 1) + 1;
}

/* What of a window is the region's: [*pfn, *end). */
static inline void daxfs_region_window(const struct daxfs_region *region, unsigned long window,
				       unsigned long *pfn, unsigned long *end)
{
	unsigned long start = ALIGN_DOWN(region->pfn, PTRS_PER_PTE) + window * PTRS_PER_PTE;

	*pfn = max(start, region->pfn);
	*end = min_t(unsigned long, start + PTRS_PER_PTE,
		     region->pfn + (region->size >> PAGE_SHIFT));
}

/* Before a page is mapped or given away: it is waited for when the region goes. */
static inline void daxfs_region_mark_mapped(struct daxfs_region *region, unsigned long pfn,
					    unsigned long pages)
{
	unsigned long window = daxfs_region_window_of(region, pfn);
	unsigned long last = daxfs_region_window_of(region, pfn + pages - 1);

	for (; window <= last; window++)
		if (unlikely(!test_bit(window, region->mapped)))
			set_bit(window, region->mapped);
}

/* entries_devmap.c or entries_folio.c: frames [pfn, pfn + pages) of a window marked so */
bool daxfs_window_held(struct daxfs_region *region, unsigned long pfn, unsigned long pages);
void daxfs_window_release(struct daxfs_region *region, unsigned long pfn, unsigned long pages);

/* super.c */
extern struct file_system_type daxfs_type;

/* options.c */
extern const struct fs_parameter_spec daxfs_parameters[];
int daxfs_parse_param(struct fs_context *fc, struct fs_parameter *param);
int daxfs_parse_source(struct fs_context *fc, struct daxfs_options *options);
bool daxfs_changes_options(const struct daxfs_options *want,
			   const struct daxfs_options *have);
int daxfs_show_options(struct seq_file *seq, struct dentry *root);

/* failure.c */
void daxfs_report(const struct super_block *sb, const struct daxfs_err *err);
void daxfs_memory_failed(const void *memory, u64 off, u64 len);
void daxfs_unmap_files(struct super_block *sb);

/* inode.c */
struct inode *daxfs_iget(struct super_block *sb, u64 ino);
struct inode *daxfs_iget_child(struct inode *dir, u32 ino);
int daxfs_getattr(daxfs_idmap *idmap, const struct path *path,
		  struct kstat *stat, u32 request_mask, unsigned int flags);

/* dir.c */
extern const struct file_operations daxfs_dir_operations;
extern const struct inode_operations daxfs_dir_inode_operations;

/* file.c */
extern const struct file_operations daxfs_file_operations;
int daxfs_file_open(struct inode *inode, struct file *file);
loff_t daxfs_llseek(struct file *file, loff_t offset, int whence);

/* fault.c */
void daxfs_fault_init(void);
int daxfs_file_mmap(struct file *file, struct vm_area_struct *vma);

/* iomap.c */
extern const struct file_operations daxfs_iomap_file_operations;
int daxfs_iomap_check(const struct daxfs_sb_info *sbi, struct fs_context *fc);
void daxfs_iomap_forget(struct inode *inode);

/* xattr.c */
extern daxfs_xattr_table daxfs_xattr_handlers[];
ssize_t daxfs_listxattr(struct dentry *dentry, char *buffer, size_t size);
struct posix_acl *daxfs_get_acl(struct inode *inode, int type, bool rcu);

/* validate.c */
int daxfs_validate(struct daxfs_sb_info *sbi, struct daxfs_err *err);

/* export.c */
extern const struct export_operations daxfs_export_operations;

#endif /* DAXFS_H */
