// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a dax device, which tells when it fails: that of pmem, or a device-dax. */
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/mm.h>

#include "daxfs.h"

/* Who holds a dax device, for its driver: any mount of ours. */
static char dax_holder_token;

static int daxfs_notify_failure(struct dax_device *dax, u64 off, u64 len, int flags)
{
	daxfs_memory_failed(dax, off, len);
	return 0;
}

static const struct dax_holder_operations holder_ops = {
	.notify_failure	= daxfs_notify_failure,
};

static struct dax_device *daxfs_claim_dax(struct daxfs_region *region, struct fs_context *fc,
					  struct block_device *bdev)
{
	struct dax_device *dax;

	/* The failure of what lies below a mapped device is told to nobody. */
	if (strstarts(bdev->bd_disk->disk_name, "dm-")) {
		errorf(fc, "daxfs: %pg is a mapped device: mount the pmem device itself", bdev);
		return ERR_PTR(-EOPNOTSUPP);
	}
	dax = fs_dax_get_by_bdev(bdev, &region->dax_start, &dax_holder_token, &holder_ops);
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

static void daxfs_pmem_close(struct daxfs_region *region)
{
	fs_put_dax(region->dax, &dax_holder_token);
}

/* Have these frames struct pages that map as pmem's do? */
static bool daxfs_pfn_has_page(unsigned long pfn)
{
	struct dev_pagemap *pagemap = daxfs_get_pagemap(pfn);
	bool have = pagemap && pagemap->type == MEMORY_DEVICE_FS_DAX;

	put_dev_pagemap(pagemap);
	return have;
}

/* Find the memory behind the dax device: pages that are contiguous, @want at most. */
static long daxfs_find_resource(struct daxfs_region *region, long want)
{
	enum dax_access_mode mode = DAX_ACCESS;
	daxfs_dax_pfn pfn;
	long pages;
	int id;

	id = dax_read_lock();
	pages = dax_direct_access(region->dax, PHYS_PFN(region->dax_start), want, mode,
				  &region->base, &pfn);
	if (pages < 0) {
		/* Blocks known to be bad: their readers are told, not this mount. */
		mode = DAX_RECOVERY_WRITE;
		pages = dax_direct_access(region->dax, PHYS_PFN(region->dax_start), 1, mode,
					  &region->base, &pfn) > 0 ? want : pages;
	}
	dax_read_unlock(id);
	if (pages > 0)
		region->pfn = daxfs_dax_pfn_nr(pfn);
	return pages;
}

static int daxfs_claim_resource(struct daxfs_region *region, struct fs_context *fc, long pages,
				const char *name)
{
	if (pages <= 0) {
		errorf(fc, "daxfs: %s gives no direct access to its memory (%ld)", name, pages);
		daxfs_pmem_close(region);
		return pages ? pages : -ENXIO;
	}
	region->size = (u64)pages << PAGE_SHIFT;
	region->has_pages = daxfs_pfn_has_page(region->pfn);
	return 0;
}

static int daxfs_pmem_open(struct daxfs_region *region, struct fs_context *fc,
			   struct super_block *sb)
{
	struct block_device *bdev = sb->s_bdev;
	unsigned long pages;

	region->dax = daxfs_claim_dax(region, fc, bdev);
	if (IS_ERR(region->dax))
		return PTR_ERR(region->dax);
	pages = bdev_nr_bytes(bdev) >> PAGE_SHIFT;
	return daxfs_claim_resource(region, fc, daxfs_find_resource(region, pages), sb->s_id);
}

const struct daxfs_region_ops daxfs_pmem_ops = {
	.open	= daxfs_pmem_open,
	.close	= daxfs_pmem_close,
};

#ifdef DAXFS_CLAIMS_DEVICE_DAX
/* The device does not tell its size; more than it is refused. */
static long daxfs_device_dax_pages(struct daxfs_region *region)
{
	long pages = 0, step;

	for (step = 1L << (MAX_PHYSMEM_BITS - PAGE_SHIFT); step; step >>= 1)
		if (daxfs_find_resource(region, pages + step) == pages + step)
			pages += step;
	return pages;
}

static int daxfs_device_dax_open(struct daxfs_region *region, struct fs_context *fc,
				 struct super_block *sb)
{
	struct dax_device *dax = dax_dev_get(DAXFS_SB(sb)->options.dax);
	long pages;
	int ret;

	if (!dax)
		return -ENOMEM;
	ret = fs_dax_get(dax, &dax_holder_token, &holder_ops);
	put_dax(dax);
	if (ret) {
		errorf(fc, "daxfs: %s %s (%d)", fc->source,
		       ret == -EBUSY ? "is held by another filesystem" :
		       "is not bound to the driver fsdev_dax, which filesystems share", ret);
		return ret;
	}
	region->dax = dax;
	pages = daxfs_device_dax_pages(region);
	return daxfs_claim_resource(region, fc,
				    pages ? daxfs_find_resource(region, pages) : -ENXIO,
				    fc->source);
}
#else
static int daxfs_device_dax_open(struct daxfs_region *region, struct fs_context *fc,
				 struct super_block *sb)
{
	errorf(fc,
	       "daxfs: %s: this kernel lets no filesystem have a device-dax: unbind its driver, then mount.daxfs takes its range",
	       fc->source);
	return -EOPNOTSUPP;
}
#endif

const struct daxfs_region_ops daxfs_device_dax_ops = {
	.open	= daxfs_device_dax_open,
	.close	= daxfs_pmem_close,
};
