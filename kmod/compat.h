/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this module builds for: 6.1 to 6.14 and 7.3.
 * The only place that looks at the kernel's version. Tested are 6.1, 6.12 and
 * 7.3; what stands between them here was read in the history of the functions.
 */
#ifndef DAXFS_COMPAT_H
#define DAXFS_COMPAT_H

#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/version.h>

/*
 * 6.15 counts the references of pages of DAX, 6.17 drops the entries that had
 * none, and only 7.3 lets modules make and take apart folios of such pages.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define DAXFS_DEVMAP_ENTRIES
#elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#error "daxfs knows the kernels 6.1 to 6.14 and 7.3 and later"
#endif

#ifdef DAXFS_DEVMAP_ENTRIES
#include <linux/pfn_t.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>

/* A debugger's write looks for no page behind them, see needs_page(). */
#define DAXFS_ENTRIES_HIDE_PAGES	1

/* Wait until nobody holds a page of a file, then drop the records of them. */
static inline void daxfs_break_layout(struct inode *inode)
{
	while (dax_layout_busy_page(inode->i_mapping))
		schedule_timeout_idle(msecs_to_jiffies(20));
	truncate_inode_pages(inode->i_mapping, 0);
}

#define daxfs_pmd_is_leaf(pmd)	(pmd_trans_huge(pmd) || pmd_devmap(pmd))

#define daxfs_dax_pfn		pfn_t
#define daxfs_dax_pfn_nr(pfn)	pfn_t_to_pfn(pfn)
#define daxfs_inode_state(inode) READ_ONCE((inode)->i_state)
#define daxfs_zero_pfn(addr)	my_zero_pfn(addr)
#define daxfs_get_pagemap(pfn)	get_dev_pagemap(pfn, NULL)
#define daxfs_pte_protect(pte)	pte_mkuffd_wp(pte)
#define daxfs_pte_wp_marker(pte) pte_marker_uffd_wp(pte)
#else
#include <linux/hex.h>
#include <linux/leafops.h>

#define DAXFS_ENTRIES_HIDE_PAGES	0
#define daxfs_break_layout(inode)	dax_break_layout_final(inode)
#define daxfs_pmd_is_leaf(pmd)	pmd_leaf(pmd)
/* A device-dax can be claimed as a whole. */
#define DAXFS_CLAIMS_DEVICE_DAX

#define daxfs_dax_pfn		unsigned long
#define daxfs_dax_pfn_nr(pfn)	(pfn)
#define daxfs_inode_state(inode) inode_state_read_once(inode)
#define daxfs_zero_pfn(addr)	zero_pfn(addr)
#define daxfs_get_pagemap(pfn)	get_dev_pagemap(pfn)
#define daxfs_pte_protect(pte)	pte_mkuffd(pte)
#define daxfs_pte_wp_marker(pte) pte_is_uffd_wp_marker(pte)

/* As in mm/internal.h, which modules do not see. */
#define DAXFS_ENTIRELY_MAPPED	0x800000
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
/* Exporters take their own locks. */
#define daxfs_dma_buf_vmap	dma_buf_vmap
#define daxfs_dma_buf_vunmap	dma_buf_vunmap
#define get_inode_acl		get_acl
/* ACLs were attributes like others, with handlers of the core. */
#define DAXFS_ACL_HANDLERS \
	&posix_acl_access_xattr_handler, &posix_acl_default_xattr_handler,
#else
#define daxfs_dma_buf_vmap	dma_buf_vmap_unlocked
#define daxfs_dma_buf_vunmap	dma_buf_vunmap_unlocked
#define DAXFS_ACL_HANDLERS
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define daxfs_idmap		struct user_namespace
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#else
#include <linux/filelock.h>

#define daxfs_idmap		struct mnt_idmap
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define copy_splice_read	generic_file_splice_read
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
/* Was what happened without one. */
#define generic_encode_ino32_fh	NULL
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define daxfs_fillattr(idmap, mask, inode, stat) \
	generic_fillattr(idmap, inode, stat)
/* A fault of a size, before it became a fault of an order. */
#define daxfs_fault_order	enum page_entry_size
#define DAXFS_FAULT_PMD		PE_SIZE_PMD
#define DAXFS_FAULT_PTE		PE_SIZE_PTE
#else
#define daxfs_fillattr(idmap, mask, inode, stat) \
	generic_fillattr(idmap, mask, inode, stat)
#define daxfs_fault_order	unsigned int
#define DAXFS_FAULT_PMD		PMD_ORDER
#define DAXFS_FAULT_PTE		0
#endif

#ifndef PFN_PTE_SHIFT	/* before 6.6 */
#define PFN_PTE_SHIFT		PAGE_SHIFT
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
/* The device of a mount going away was told to nobody. */
#define DAXFS_SHUTDOWN(function)
#else
#define DAXFS_SHUTDOWN(function)	.shutdown = (function),
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
static inline void super_set_uuid(struct super_block *sb, const u8 *uuid, unsigned int len)
{
	memcpy(&sb->s_uuid, uuid, len);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline void daxfs_set_times(struct inode *inode, s64 sec, u32 nsec)
{
	inode->i_mtime = (struct timespec64) { .tv_sec = sec, .tv_nsec = nsec };
	inode->i_atime = inode->i_mtime;
	inode->i_ctime = inode->i_mtime;
}

#define daxfs_xattr_table	const struct xattr_handler *
#else
static inline void daxfs_set_times(struct inode *inode, s64 sec, u32 nsec)
{
	inode_set_mtime(inode, sec, nsec);
	inode_set_atime(inode, sec, nsec);
	inode_set_ctime(inode, sec, nsec);
}

#define daxfs_xattr_table	const struct xattr_handler * const
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define DAXFS_DMA_BUF_NS	DMA_BUF
#else
#define DAXFS_DMA_BUF_NS	"DMA_BUF"
#endif

#endif /* DAXFS_COMPAT_H */
