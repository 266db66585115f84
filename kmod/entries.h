/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page table entries, and a file for each way to make them:
 *
 * entries_special.c  frames that no walker takes for pages, for memory without
 *                    struct pages, and the zero page; any kernel
 * entries_devmap.c   device-map entries, which refer to pages and count nothing;
 *                    up to 6.14
 * entries_folio.c    entries that count references, as for any file; from 7.3
 */
#ifndef DAXFS_ENTRIES_H
#define DAXFS_ENTRIES_H

#include <linux/pgtable.h>

#include "daxfs.h"

/* What one fault looks at. */
struct daxfs_fault {
	struct vm_fault *vmf;
	struct inode *inode;
	struct daxfs_sb_info *sbi;
	const struct daxfs_node *node;
	struct daxfs_err err;
};

/**
 * struct daxfs_fill - a run of entries of one page table
 * @vma: the mapping
 * @pte: the first entry, without what the mechanism adds
 * @pages: how many
 * @same: all are of one frame, else of frames one after the other
 */
struct daxfs_fill {
	struct vm_area_struct *vma;
	pte_t pte;
	unsigned long pages;
	bool same;
};

/*
 * Fill what is empty among a run of entries from addr on, in one page table.
 * 0 or a negative errno. The caller holds the window's lock.
 */
int daxfs_fill_entries(struct daxfs_fill *fill, unsigned long addr);
int daxfs_fill_special(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long pfn, unsigned long pages, bool same);
int daxfs_fill_pages(struct daxfs_region *region, struct vm_area_struct *vma,
		     unsigned long addr, unsigned long pfn, unsigned long pages);

/* One entry of 2 MiB for memory with pages; pfn aligned. VM_FAULT_FALLBACK: not possible. */
vm_fault_t daxfs_fill_huge(struct daxfs_region *region, struct vm_fault *vmf,
			   unsigned long pfn);

#endif /* DAXFS_ENTRIES_H */
