// SPDX-License-Identifier: GPL-2.0-only
/*
 * -o fault=iomap: the kernel's own DAX paths in place of ours, for comparison
 * and for who prefers them. fs/dax.c keeps a record of each page it mapped,
 * which has room for one inode: data shared between inodes cannot go this way.
 */
#include <linux/iomap.h>
#include <linux/splice.h>

#include "daxfs.h"

static int daxfs_iomap_begin(struct inode *inode, loff_t pos, loff_t length,
			     unsigned int flags, struct iomap *iomap,
			     struct iomap *srcmap)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	const struct daxfs_node *node = &DAXFS_I(inode)->node;
	struct daxfs_err err;
	struct daxfs_map map;
	u64 want, good;
	int ret, id;

	iomap->bdev = inode->i_sb->s_bdev;
	iomap->dax_dev = sbi->region.dax;
	iomap->offset = pos;
	iomap->length = length;
	iomap->addr = IOMAP_NULL_ADDR;
	iomap->type = IOMAP_HOLE;
	if (pos >= node->size)
		return 0;
	if (!daxfs_enter(sbi, &id))
		return -EIO;
	ret = daxfs_file_map(&sbi->image, node, pos, &map, &err);
	daxfs_exit(sbi, id);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	if (ret)
		return ret;

	/* To the end of the last block: what lies behind the file there is 0. */
	want = round_up(pos + map.len, PAGE_SIZE) - pos;
	iomap->length = want;
	if (map.hole)
		return 0;
	good = READ_ONCE(sbi->region.plain) ? want :
	       daxfs_region_good(&sbi->region, map.off, want);
	if (!good)
		return -EIO;
	iomap->length = good;
	iomap->addr = sbi->region.dax_start + map.off;
	iomap->type = IOMAP_MAPPED;
	return 0;
}

static const struct iomap_ops daxfs_iomap_ops = {
	.iomap_begin = daxfs_iomap_begin,
};

static ssize_t daxfs_iomap_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	inode_lock_shared(inode);
	ret = dax_iomap_rw(iocb, to, &daxfs_iomap_ops);
	inode_unlock_shared(inode);
	return ret;
}

static vm_fault_t daxfs_iomap_huge_fault(struct vm_fault *vmf, daxfs_fault_order order)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(file_inode(vmf->vma->vm_file)->i_sb);
	vm_fault_t ret;
	int id;

	/* What it records is found when the region goes away. */
	if (!daxfs_enter(sbi, &id))
		return VM_FAULT_SIGBUS;
	ret = dax_iomap_fault(vmf, order, NULL, NULL, &daxfs_iomap_ops);
	daxfs_exit(sbi, id);
	return ret;
}

static vm_fault_t daxfs_iomap_fault(struct vm_fault *vmf)
{
	return daxfs_iomap_huge_fault(vmf, DAXFS_FAULT_PTE);
}

static const struct vm_operations_struct daxfs_iomap_vm_ops = {
	.fault		= daxfs_iomap_fault,
	.huge_fault	= daxfs_iomap_huge_fault,
};

static int daxfs_iomap_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &daxfs_iomap_vm_ops;
	vm_flags_set(vma, VM_HUGEPAGE);
	return 0;
}

const struct file_operations daxfs_iomap_file_operations = {
	.llseek			= daxfs_llseek,
	.read_iter		= daxfs_iomap_read,
	.splice_read		= copy_splice_read,
	.mmap			= daxfs_iomap_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
};

/**
 * daxfs_iomap_check - can this mount use the kernel's own paths?
 * @sbi: the mount, its image open
 * @fc: where the reason is told if not
 *
 * Return: 0 or -EINVAL
 */
int daxfs_iomap_check(const struct daxfs_sb_info *sbi, struct fs_context *fc)
{
	if (!sbi->region.dax)
		return invalf(fc, "daxfs: fault=iomap needs a pmem block device");
	if (sbi->image.compat & DAXFS_COMPAT_SHARED_DATA)
		return invalf(fc,
			      "daxfs: fault=iomap cannot share data between files, and this image does: make it with --no-dedupe");
	return 0;
}
