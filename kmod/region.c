// SPDX-License-Identifier: GPL-2.0-only
/* The memory behind a mount: one implementation for each place it comes from. */
#include <linux/blkdev.h>
#include <linux/dma-buf.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>

#include "daxfs.h"

DEFINE_SRCU(daxfs_srcu);

/* A pmem block device: its dax device gives the memory, and tells when it fails. */

static int notify_failure(struct dax_device *dax, u64 off, u64 len, int flags)
{
	daxfs_memory_failed(dax, off, len);
	return 0;
}

static const struct dax_holder_operations holder_ops = {
	.notify_failure	= notify_failure,
};

static struct dax_device *claim_dax(struct daxfs_region *region, struct fs_context *fc,
				    struct block_device *bdev)
{
	struct dax_device *dax;

	/* The failure of what lies below a mapped device is told to nobody. */
	if (strstarts(bdev->bd_disk->disk_name, "dm-")) {
		errorf(fc, "daxfs: %pg is a mapped device: mount the pmem device itself", bdev);
		return ERR_PTR(-EOPNOTSUPP);
	}
	dax = fs_dax_get_by_bdev(bdev, &region->dax_start, &daxfs_srcu, &holder_ops);
	if (dax)
		return dax;
	dax = fs_dax_get_by_bdev(bdev, &region->dax_start, NULL, NULL);
	if (dax) {
		fs_put_dax(dax, NULL);
		errorf(fc, "daxfs: the memory of %pg is held by another filesystem", bdev);
		return ERR_PTR(-EBUSY);
	}
	errorf(fc, "daxfs: %pg has no DAX: a pmem device with DAX on is needed", bdev);
	return ERR_PTR(-EOPNOTSUPP);
}

static void dax_close(struct daxfs_region *region)
{
	fs_put_dax(region->dax, &daxfs_srcu);
}

static int dax_open(struct daxfs_region *region, struct fs_context *fc,
		    struct super_block *sb)
{
	struct block_device *bdev = sb->s_bdev;
	long pages;
	pfn_t pfn;
	int id;

	region->dax = claim_dax(region, fc, bdev);
	if (IS_ERR(region->dax))
		return PTR_ERR(region->dax);
	id = dax_read_lock();
	pages = dax_direct_access(region->dax, PHYS_PFN(region->dax_start),
				  bdev_nr_bytes(bdev) >> PAGE_SHIFT, DAX_ACCESS,
				  &region->base, &pfn);
	/* Blocks known to be bad: their readers are told, not this mount. */
	if (pages < 0 &&
	    dax_direct_access(region->dax, PHYS_PFN(region->dax_start), 1, DAX_RECOVERY_WRITE,
			      &region->base, &pfn) > 0)
		pages = bdev_nr_bytes(bdev) >> PAGE_SHIFT;
	dax_read_unlock(id);
	if (pages <= 0) {
		errorf(fc, "daxfs: %pg gives no direct access to its memory (%ld)",
		       bdev, pages);
		dax_close(region);
		return pages ? pages : -ENXIO;
	}
	region->pfn = pfn_t_to_pfn(pfn);
	region->has_pages = pfn_t_devmap(pfn);
	region->size = (u64)pages << PAGE_SHIFT;
	return 0;
}

static const struct daxfs_region_ops dax_region_ops = {
	.open	= dax_open,
	.close	= dax_close,
};

/* A physical range named by the administrator. */

static int check_phys(struct fs_context *fc, phys_addr_t phys, u64 size)
{
	if (!size)
		return invalf(fc, "daxfs: phys= needs size=BYTES");
	if (!PAGE_ALIGNED(phys) || !PAGE_ALIGNED(size))
		return invalf(fc, "daxfs: phys= and size= must be multiples of %lu", PAGE_SIZE);
	if (phys + size < phys || (phys + size - 1) >> boot_cpu_data.x86_phys_bits)
		return invalf(fc, "daxfs: phys=%pa,size=0x%llx lies beyond this CPU's addresses",
			      &phys, size);
	if (region_intersects(phys, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return invalf(fc, "daxfs: phys=%pa,size=0x%llx overlaps System RAM", &phys, size);
	return 0;
}

static int phys_open(struct daxfs_region *region, struct fs_context *fc,
		     struct super_block *sb)
{
	phys_addr_t phys = DAXFS_SB(sb)->options.phys;
	u64 size = DAXFS_SB(sb)->options.size;
	int ret = check_phys(fc, phys, size);

	if (ret)
		return ret;
	if (!request_mem_region(phys, size, "daxfs")) {
		errorf(fc, "daxfs: phys=%pa,size=0x%llx overlaps a claimed range, see /proc/iomem",
		       &phys, size);
		return -EBUSY;
	}
	/* Also keeps the range write-back in PAT for the user mappings. */
	region->base = memremap(phys, size, MEMREMAP_WB);
	if (!region->base) {
		errorf(fc, "daxfs: phys=%pa,size=0x%llx cannot be mapped", &phys, size);
		release_mem_region(phys, size);
		return -ENOMEM;
	}
	region->pfn = PHYS_PFN(phys);
	region->size = size;
	return 0;
}

static void phys_close(struct daxfs_region *region)
{
	memunmap(region->base);
	release_mem_region(PFN_PHYS(region->pfn), region->size);
}

static const struct daxfs_region_ops phys_region_ops = {
	.open	= phys_open,
	.close	= phys_close,
};

/*
 * A dma-buf, kept mapped by its exporter from mount to unmount, which keeps its
 * pages where they are. They need not lie in a row and belong to the exporter.
 */

static unsigned long dmabuf_frame(const struct daxfs_region *region, u64 off)
{
	void *at = region->base + off;

	return is_vmalloc_addr(at) ? vmalloc_to_pfn(at) : PHYS_PFN(virt_to_phys(at));
}

static void dmabuf_close(struct daxfs_region *region)
{
	struct iosys_map map = IOSYS_MAP_INIT_VADDR(region->base);

	daxfs_dma_buf_vunmap(region->dmabuf, &map);
	dma_buf_end_cpu_access(region->dmabuf, DMA_FROM_DEVICE);
}

static int map_dmabuf(struct daxfs_region *region, struct fs_context *fc)
{
	struct dma_buf *dmabuf = region->dmabuf;
	struct iosys_map map;
	unsigned int level;
	pte_t *pte;
	int ret;

	ret = dmabuf->ops->vmap ? daxfs_dma_buf_vmap(dmabuf, &map) : -EOPNOTSUPP;
	if (ret) {
		errorf(fc, "daxfs: the exporter %s cannot map its dma-buf into the kernel (%d)",
		       dmabuf->exp_name, ret);
		return ret;
	}
	if (map.is_iomem || !PAGE_ALIGNED(map.vaddr) ||
	    (!is_vmalloc_addr(map.vaddr) && !virt_addr_valid(map.vaddr))) {
		errorf(fc, "daxfs: the dma-buf of %s is a device's I/O memory, not RAM",
		       dmabuf->exp_name);
		daxfs_dma_buf_vunmap(dmabuf, &map);
		return -EOPNOTSUPP;
	}
	region->base = map.vaddr;
	/* All mappings of a page must agree in how it is cached. */
	pte = lookup_address((unsigned long)map.vaddr, &level);
	region->write_combined = pte && (pte_flags(*pte) & (_PAGE_PWT | _PAGE_PCD));
	return 0;
}

static int dmabuf_open(struct daxfs_region *region, struct fs_context *fc,
		       struct super_block *sb)
{
	int ret;

	region->dmabuf = DAXFS_SB(sb)->options.dmabuf;
	region->size = round_down(region->dmabuf->size, PAGE_SIZE);
	ret = dma_buf_begin_cpu_access(region->dmabuf, DMA_FROM_DEVICE);
	if (ret) {
		errorf(fc, "daxfs: the exporter %s refuses reading its dma-buf (%d)",
		       region->dmabuf->exp_name, ret);
		return ret;
	}
	ret = map_dmabuf(region, fc);
	if (ret)
		dma_buf_end_cpu_access(region->dmabuf, DMA_FROM_DEVICE);
	return ret;
}

static const struct daxfs_region_ops dmabuf_region_ops = {
	.open	= dmabuf_open,
	.close	= dmabuf_close,
	.frame	= dmabuf_frame,
};

/**
 * daxfs_region_open - claim and map the memory of a mount
 * @sb: the mount; its options or its device say where the memory comes from
 * @fc: where errors are told
 *
 * Return: 0, or an errno for which @fc's log has the reason.
 */
int daxfs_region_open(struct super_block *sb, struct fs_context *fc)
{
	struct daxfs_region *region = &DAXFS_SB(sb)->region;
	const struct daxfs_region_ops *ops = &dax_region_ops;
	int ret;

	if (DAXFS_SB(sb)->options.dmabuf)
		ops = &dmabuf_region_ops;
	else if (!sb->s_bdev)
		ops = &phys_region_ops;
	xa_init(&region->bad);
	region->plain = !ops->frame;
	ret = ops->open(region, fc, sb);
	if (!ret)
		region->ops = ops;
	return ret;
}

/**
 * daxfs_region_close - give the memory back
 * @region: may be closed already
 */
void daxfs_region_close(struct daxfs_region *region)
{
	if (!region->ops)
		return;
	region->ops->close(region);
	xa_destroy(&region->bad);
	region->ops = NULL;
}

/**
 * daxfs_region_good - how much of a range is not known to be bad
 * @region: the memory, entered
 * @off: bytes from its start
 * @want: bytes, more than 0
 *
 * Return: bytes from @off on, up to @want.
 */
u64 daxfs_region_good(struct daxfs_region *region, u64 off, u64 want)
{
	unsigned long bad = off >> PAGE_SHIFT;

	if (!xa_find(&region->bad, &bad, (off + want - 1) >> PAGE_SHIFT, XA_PRESENT))
		return want;
	return max((u64)bad << PAGE_SHIFT, off) - off;
}

/**
 * daxfs_region_run_slow - daxfs_region_run() for scattered or failing memory
 * @region: the memory
 * @off: bytes from its start, page aligned
 * @max: pages wanted, more than 0
 * @pfn: set to the first page frame
 *
 * Return: as daxfs_region_run().
 */
unsigned long daxfs_region_run_slow(struct daxfs_region *region, u64 off,
				    unsigned long max, unsigned long *pfn)
{
	unsigned long pages;

	max = daxfs_region_good(region, off, (u64)max << PAGE_SHIFT) >> PAGE_SHIFT;
	*pfn = region->pfn + (off >> PAGE_SHIFT);
	if (!region->ops->frame || !max)
		return max;
	*pfn = region->ops->frame(region, off);
	for (pages = 1; pages < max; pages++)
		if (region->ops->frame(region, off + (pages << PAGE_SHIFT)) != *pfn + pages)
			break;
	return pages;
}

/**
 * daxfs_region_fail - stop using memory that failed
 * @region: the memory
 * @off: where it failed, in bytes of the dax device
 * @len: bytes that failed; U64_MAX when the device goes away
 *
 * On return nothing new is read from it or mapped. What is mapped already, the
 * caller unmaps.
 */
void daxfs_region_fail(struct daxfs_region *region, u64 off, u64 len)
{
	bool gone = len == U64_MAX;
	u64 at;

	for (at = off; !gone && at - off < len; at += PAGE_SIZE) {
		if (at - region->dax_start >= region->size)
			continue;
		WRITE_ONCE(region->plain, false);
		gone = xa_err(xa_store(&region->bad, (at - region->dax_start) >> PAGE_SHIFT,
				       xa_mk_value(1), GFP_KERNEL));
	}
	if (gone) {
		WRITE_ONCE(region->gone, true);
		WRITE_ONCE(region->plain, false);
	}
	synchronize_srcu(&daxfs_srcu);
}
