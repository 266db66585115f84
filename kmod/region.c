// SPDX-License-Identifier: GPL-2.0-only
/* The memory behind a mount: one implementation for each place it comes from. */
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/security.h>

#include "daxfs.h"

/* A pmem block device: its dax device gives the address, and its liveness. */

static bool dax_enter(struct daxfs_region *region, int *cookie)
{
	*cookie = dax_read_lock();
	if (likely(dax_alive(region->dax)))
		return true;
	dax_read_unlock(*cookie);
	return false;
}

static void dax_exit(struct daxfs_region *region, int cookie)
{
	dax_read_unlock(cookie);
}

static void dax_close(struct daxfs_region *region)
{
	fs_put_dax(region->dax, NULL);
}

static const struct daxfs_region_ops dax_region_ops = {
	.enter	= dax_enter,
	.exit	= dax_exit,
	.close	= dax_close,
};

/**
 * daxfs_region_open_bdev - open the memory of a DAX capable block device
 * @region: to be filled
 * @fc: where errors are told
 * @bdev: the device
 *
 * Return: 0, -EOPNOTSUPP for a device without DAX, or what the device says.
 */
int daxfs_region_open_bdev(struct daxfs_region *region, struct fs_context *fc,
			   struct block_device *bdev)
{
	long want = bdev_nr_bytes(bdev) >> PAGE_SHIFT, pages;
	u64 start;
	pfn_t pfn;
	int id;

	region->dax = fs_dax_get_by_bdev(bdev, &start, NULL, NULL);
	if (!region->dax) {
		errorf(fc, "daxfs: %pg has no DAX: a pmem device with DAX on is needed", bdev);
		return -EOPNOTSUPP;
	}
	id = dax_read_lock();
	pages = dax_direct_access(region->dax, PHYS_PFN(start), want, DAX_ACCESS,
				  &region->base, &pfn);
	dax_read_unlock(id);
	if (pages <= 0) {
		errorf(fc, "daxfs: %pg gives no direct access to its memory (%ld)",
		       bdev, pages);
		fs_put_dax(region->dax, NULL);
		return pages ? pages : -ENXIO;
	}
	region->ops = &dax_region_ops;
	region->pfn = pfn_t_to_pfn(pfn);
	region->has_pages = pfn_t_devmap(pfn);
	region->size = (u64)pages << PAGE_SHIFT;
	return 0;
}

/* A physical range named by the administrator. */

static void phys_close(struct daxfs_region *region)
{
	memunmap(region->base);
	release_mem_region(region->phys->start, resource_size(region->phys));
}

static const struct daxfs_region_ops phys_region_ops = {
	.close	= phys_close,
};

static int check_phys(struct fs_context *fc, phys_addr_t phys, u64 size)
{
	if (!capable(CAP_SYS_ADMIN)) {
		errorf(fc, "daxfs: phys= needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	if (security_locked_down(LOCKDOWN_DEV_MEM)) {
		errorf(fc, "daxfs: phys= is refused while the kernel is locked down");
		return -EPERM;
	}
	if (!size) {
		errorf(fc, "daxfs: phys= needs size=BYTES");
		return -EINVAL;
	}
	if (!PAGE_ALIGNED(phys) || !PAGE_ALIGNED(size)) {
		errorf(fc, "daxfs: phys= and size= must be multiples of %lu", PAGE_SIZE);
		return -EINVAL;
	}
	if (phys + size < phys || (phys + size - 1) >> boot_cpu_data.x86_phys_bits) {
		errorf(fc, "daxfs: phys=%pa,size=0x%llx lies beyond this CPU's addresses",
		       &phys, size);
		return -EINVAL;
	}
	if (region_intersects(phys, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		errorf(fc, "daxfs: phys=%pa,size=0x%llx overlaps System RAM", &phys, size);
		return -EINVAL;
	}
	return 0;
}

/**
 * daxfs_region_open_phys - claim and map a physical range
 * @region: to be filled
 * @fc: where errors are told
 * @phys: first byte
 * @size: bytes
 *
 * Return: 0, -EPERM, -EINVAL for a range that cannot be one, -EBUSY for one
 * that is claimed already, -ENOMEM.
 */
int daxfs_region_open_phys(struct daxfs_region *region, struct fs_context *fc,
			   phys_addr_t phys, u64 size)
{
	int ret = check_phys(fc, phys, size);

	if (ret)
		return ret;
	region->phys = request_mem_region(phys, size, "daxfs");
	if (!region->phys) {
		errorf(fc, "daxfs: phys=%pa,size=0x%llx is claimed by another driver, see /proc/iomem",
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
	region->ops = &phys_region_ops;
	region->pfn = PHYS_PFN(phys);
	region->has_pages = false;
	region->size = size;
	return 0;
}

/**
 * daxfs_region_close - give the memory back
 * @region: may be closed already
 */
void daxfs_region_close(struct daxfs_region *region)
{
	if (region->ops)
		region->ops->close(region);
	region->ops = NULL;
}
