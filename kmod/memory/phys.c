// SPDX-License-Identifier: GPL-2.0-only
/* A physical range named by the administrator. */
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include "arch.h"
#include "daxfs.h"

static int daxfs_check_phys(struct fs_context *fc, phys_addr_t phys, u64 size)
{
	if (!size)
		return invalf(fc, "daxfs: phys= needs size=BYTES");
	if (!PAGE_ALIGNED(phys) || !PAGE_ALIGNED(size))
		return invalf(fc, "daxfs: phys= and size= must be multiples of %lu", PAGE_SIZE);
	if (phys + size < phys || daxfs_beyond_cpu(phys + size - 1))
		return invalf(fc, "daxfs: phys=%pa,size=0x%llx lies beyond this CPU's addresses",
			      &phys, size);
	if (region_intersects(phys, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return invalf(fc, "daxfs: phys=%pa,size=0x%llx overlaps System RAM", &phys, size);
	return 0;
}

static int daxfs_pages_failed(struct dev_pagemap *pagemap, unsigned long pfn, unsigned long pages,
			      int flags)
{
	daxfs_memory_failed(pagemap, PFN_PHYS(pfn) - pagemap->range.start, PFN_PHYS(pages));
	return 0;
}

static const struct dev_pagemap_ops pagemap_ops = {
	.memory_failure	= daxfs_pages_failed,
};

/*
 * Struct pages for the range, so that it maps as pmem does. The kernel adds
 * memory by 2 MiB: what is not aligned so does without.
 */
static bool daxfs_region_make_pages(struct daxfs_region *region, phys_addr_t phys, u64 size)
{
	struct dev_pagemap *pagemap;
	void *base;

	if (!IS_ENABLED(CONFIG_ZONE_DEVICE) || !IS_ALIGNED(phys | size, SZ_2M))
		return false;
	pagemap = kzalloc(sizeof(*pagemap), GFP_KERNEL);
	if (!pagemap)
		return false;
	pagemap->type = MEMORY_DEVICE_FS_DAX;
	pagemap->ops = &pagemap_ops;
	pagemap->range = (struct range){ .start = phys, .end = phys + size - 1 };
	pagemap->nr_range = 1;
	base = memremap_pages(pagemap, NUMA_NO_NODE);
	if (IS_ERR(base)) {
		kfree(pagemap);
		return false;
	}
	region->pagemap = pagemap;
	region->base = base;
	region->has_pages = true;
	return true;
}

static int daxfs_phys_open(struct daxfs_region *region, struct fs_context *fc,
			   struct super_block *sb)
{
	phys_addr_t phys = DAXFS_SB(sb)->options.phys;
	u64 size = DAXFS_SB(sb)->options.size;
	int ret = daxfs_check_phys(fc, phys, size);

	if (ret)
		return ret;
	if (!request_mem_region(phys, size, "daxfs")) {
		errorf(fc, "daxfs: phys=%pa,size=0x%llx overlaps a claimed range, see /proc/iomem",
		       &phys, size);
		return -EBUSY;
	}
	/* Also keeps the range write-back in PAT for the user mappings. */
	if (!daxfs_region_make_pages(region, phys, size))
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

static void daxfs_phys_close(struct daxfs_region *region)
{
	if (region->pagemap) {
		memunmap_pages(region->pagemap);
		kfree(region->pagemap);
	} else {
		memunmap(region->base);
	}
	release_mem_region(PFN_PHYS(region->pfn), region->size);
}

const struct daxfs_region_ops daxfs_phys_ops = {
	.open	= daxfs_phys_open,
	.close	= daxfs_phys_close,
};
