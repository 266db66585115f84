/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this module builds for: 6.1 to 6.14.
 * The only place that looks at the kernel's version.
 */
#ifndef DAXFS_COMPAT_H
#define DAXFS_COMPAT_H

#ifndef CONFIG_X86_64
#error "daxfs is for x86-64: load_word() and check_phys() know no other"
#endif

#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pfn_t.h>
#include <linux/version.h>

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
#define daxfs_idmap		struct mnt_idmap
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define copy_splice_read	generic_file_splice_read
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
/* Was what happened without one. */
#define generic_encode_ino32_fh	NULL
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
static inline pte_t pte_next_pfn(pte_t pte)
{
	/* x86 inverts the frame in entries that nobody may use. */
	return __pte(pte_val(pte) +
		     (__pte_needs_invert(pte_val(pte)) ? -PAGE_SIZE : PAGE_SIZE));
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
