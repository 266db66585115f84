// SPDX-License-Identifier: GPL-2.0-only
/*
 * -o fault=iomap: the kernel's own DAX paths in place of ours, for comparison
 * and for who prefers them. fs/dax.c keeps a record of each page it mapped,
 * which has room for one inode: data shared between inodes cannot go this way,
 * and corrupts struct pages from 6.15 on. So the first inode that asks for a
 * block owns it until unmount, whatever the image says of itself.
 */
#include <linux/iomap.h>
#include <linux/maple_tree.h>
#include <linux/pagemap.h>
#include <linux/splice.h>

#include "daxfs.h"

/* Make [off, off + len) of the image this inode's, unless a part is another's. */
static int daxfs_iomap_own_blocks(struct inode *inode, u64 off, u64 len)
{
	static DEFINE_MUTEX(lock);
	struct maple_tree *owners = &DAXFS_SB(inode->i_sb)->owners;
	unsigned long first = off >> PAGE_SHIFT, last = (off + len - 1) >> PAGE_SHIFT;
	struct daxfs_err err = { .ino = inode->i_ino, .field = "data of another inode",
				 .value = off };
	void *owner = xa_mk_value(inode->i_ino), *found;
	int ret = 0;
	MA_STATE(mas, owners, first, last);

	mutex_lock(&lock);
	mas_lock(&mas);
	mas_for_each(&mas, found, last)
		if (found != owner)
			ret = -EUCLEAN;
	mas_unlock(&mas);
	if (!ret)
		ret = mtree_store_range(owners, first, last, owner, GFP_KERNEL);
	mutex_unlock(&lock);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	return ret;
}

/* Before fs/dax.c records a page of the run at @map. */
static int daxfs_iomap_own_run(struct inode *inode, const struct daxfs_map *map)
{
	struct daxfs_inode_info *info = DAXFS_I(inode);
	int ret;

	if (info->node.layout != DAXFS_LAYOUT_FLAT)
		return daxfs_iomap_own_blocks(inode, map->off, map->len);
	if (READ_ONCE(info->owned))
		return 0;
	ret = daxfs_iomap_own_blocks(inode, info->node.data, info->node.size);
	if (!ret)
		WRITE_ONCE(info->owned, true);
	return ret;
}

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
	if (!daxfs_region_read_lock(sbi, &id))
		return -EIO;
	ret = daxfs_file_map(&sbi->image, node, pos, &map, &err);
	daxfs_region_read_unlock(sbi, id);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	if (!ret && !map.hole && (flags & IOMAP_FAULT))
		ret = daxfs_iomap_own_run(inode, &map);
	if (ret)
		return ret;

	/* To the end of the last block: what lies behind the file there is 0. */
	want = round_up(pos + map.len, PAGE_SIZE) - pos;
	iomap->length = want;
	if (map.hole)
		return 0;
	good = READ_ONCE(sbi->region.linear) ? want :
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
	vm_fault_t ret = 0;
	int id;

	/* What it records is found when the region goes away. */
	if (!daxfs_region_read_lock(sbi, &id))
		return VM_FAULT_SIGBUS;
#ifdef DAXFS_HAVE_FAULT_AROUND	/* upstream/dax-map-ahead: Kbuild looks for it */
	if (order == DAXFS_FAULT_PTE)
		ret = dax_iomap_fault_around(vmf, &daxfs_iomap_ops);
#endif
	if (!ret)
		ret = dax_iomap_fault(vmf, order, NULL, NULL, &daxfs_iomap_ops);
	daxfs_region_read_unlock(sbi, id);
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

/**
 * daxfs_iomap_forget - drop what fs/dax.c recorded of a file
 * @inode: a regular file, which nobody can map any more
 *
 * Waits for who holds a page: its record goes with the page's last reference.
 */
void daxfs_iomap_forget(struct inode *inode)
{
	daxfs_break_layout(inode);
}

const struct file_operations daxfs_iomap_file_operations = {
	.open			= daxfs_file_open,
	.llseek			= daxfs_llseek,
	.read_iter		= daxfs_iomap_read,
	.splice_read		= copy_splice_read,
	.mmap			= daxfs_iomap_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
	.setlease		= generic_setlease,
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
