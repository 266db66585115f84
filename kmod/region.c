// SPDX-License-Identifier: GPL-2.0-only
/* The memory behind a mount: one implementation for each place it comes from. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/dma-buf.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "arch.h"
#include "daxfs.h"

/* Who holds a dax device, for its driver: any mount of ours. */
static char dax_holder_token;

/* A dax device gives the memory, and tells when it fails: that of pmem, or a device-dax. */

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

static void dax_close(struct daxfs_region *region)
{
	fs_put_dax(region->dax, &dax_holder_token);
}

/* Have these frames struct pages that map as pmem's do? */
static bool have_pages(unsigned long pfn)
{
	struct dev_pagemap *pagemap = daxfs_get_pagemap(pfn);
	bool have = pagemap && pagemap->type == MEMORY_DEVICE_FS_DAX;

	put_dev_pagemap(pagemap);
	return have;
}

/* Find the memory behind the dax device: pages that are contiguous, @want at most. */
static long find_memory(struct daxfs_region *region, long want)
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

static int take_memory(struct daxfs_region *region, struct fs_context *fc, long pages,
		       const char *name)
{
	if (pages <= 0) {
		errorf(fc, "daxfs: %s gives no direct access to its memory (%ld)", name, pages);
		dax_close(region);
		return pages ? pages : -ENXIO;
	}
	region->size = (u64)pages << PAGE_SHIFT;
	region->has_pages = have_pages(region->pfn);
	return 0;
}

static int dax_open(struct daxfs_region *region, struct fs_context *fc,
		    struct super_block *sb)
{
	struct block_device *bdev = sb->s_bdev;

	region->dax = claim_dax(region, fc, bdev);
	if (IS_ERR(region->dax))
		return PTR_ERR(region->dax);
	return take_memory(region, fc,
			   find_memory(region, bdev_nr_bytes(bdev) >> PAGE_SHIFT), sb->s_id);
}

static const struct daxfs_region_ops dax_region_ops = {
	.open	= dax_open,
	.close	= dax_close,
};

#ifdef DAXFS_CLAIMS_DEVICE_DAX
/* The device does not tell its size; more than it is refused. */
static long device_dax_pages(struct daxfs_region *region)
{
	long pages = 0, step;

	for (step = 1L << (MAX_PHYSMEM_BITS - PAGE_SHIFT); step; step >>= 1)
		if (find_memory(region, pages + step) == pages + step)
			pages += step;
	return pages;
}

static int device_dax_open(struct daxfs_region *region, struct fs_context *fc,
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
	pages = device_dax_pages(region);
	return take_memory(region, fc, pages ? find_memory(region, pages) : -ENXIO, fc->source);
}
#else
static int device_dax_open(struct daxfs_region *region, struct fs_context *fc,
			   struct super_block *sb)
{
	errorf(fc, "daxfs: %s: this kernel lets no filesystem have a device-dax: unbind its driver, then mount.daxfs takes its range",
	       fc->source);
	return -EOPNOTSUPP;
}
#endif

static const struct daxfs_region_ops device_dax_region_ops = {
	.open	= device_dax_open,
	.close	= dax_close,
};

/* A physical range named by the administrator. */

static int check_phys(struct fs_context *fc, phys_addr_t phys, u64 size)
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

static int pages_failed(struct dev_pagemap *pagemap, unsigned long pfn, unsigned long pages,
			int flags)
{
	daxfs_memory_failed(pagemap, PFN_PHYS(pfn) - pagemap->range.start, PFN_PHYS(pages));
	return 0;
}

static const struct dev_pagemap_ops pagemap_ops = {
	.memory_failure	= pages_failed,
};

/*
 * Struct pages for the range, so that it maps as pmem does. The kernel adds
 * memory by 2 MiB: what is not aligned so does without.
 */
static bool make_pages(struct daxfs_region *region, phys_addr_t phys, u64 size)
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
	if (!make_pages(region, phys, size))
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
	if (region->pagemap) {
		memunmap_pages(region->pagemap);
		kfree(region->pagemap);
	} else {
		memunmap(region->base);
	}
	release_mem_region(PFN_PHYS(region->pfn), region->size);
}

static const struct daxfs_region_ops phys_region_ops = {
	.open	= phys_open,
	.close	= phys_close,
};

/*
 * A dma-buf, kept mapped by its exporter from mount to unmount. Its pages need not
 * be contiguous and belong to the exporter. Where an exporter moves them unless
 * they are pinned, the mapping alone does not keep them: those are refused, since
 * a pin is for devices, and this is none.
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
}

static int map_dmabuf(struct daxfs_region *region, struct fs_context *fc)
{
	struct dma_buf *dmabuf = region->dmabuf;
	struct iosys_map map;
	int ret;

	if (dmabuf->ops->pin) {
		errorf(fc, "daxfs: the exporter %s may move its dma-buf while it is in use",
		       dmabuf->exp_name);
		return -EOPNOTSUPP;
	}
	ret = dmabuf->ops->vmap ? daxfs_dma_buf_vmap(dmabuf, &map) : -EOPNOTSUPP;
	if (ret) {
		errorf(fc, "daxfs: the exporter %s cannot map its dma-buf into the kernel (%d)",
		       dmabuf->exp_name, ret);
		return ret;
	}
	if (map.is_iomem || !PAGE_ALIGNED(map.vaddr) ||
	    (!is_vmalloc_addr(map.vaddr) && !virt_addr_valid(map.vaddr)) ||
	    !daxfs_mapped_as(map.vaddr, &region->write_combined)) {
		errorf(fc, "daxfs: the dma-buf of %s is a device's I/O memory, not RAM",
		       dmabuf->exp_name);
		daxfs_dma_buf_vunmap(dmabuf, &map);
		return -EOPNOTSUPP;
	}
	region->base = map.vaddr;
	return 0;
}

static int dmabuf_open(struct daxfs_region *region, struct fs_context *fc,
		       struct super_block *sb)
{
	int ret;

	region->dmabuf = DAXFS_SB(sb)->options.dmabuf;
	region->size = round_down(region->dmabuf->size, PAGE_SIZE);
	/*
	 * What a device wrote before the mount is seen from here on. Reads and
	 * mappings that follow are not bracketed: docs/mount-options.md.
	 */
	ret = dma_buf_begin_cpu_access(region->dmabuf, DMA_FROM_DEVICE);
	if (ret) {
		errorf(fc, "daxfs: the exporter %s refuses reading its dma-buf (%d)",
		       region->dmabuf->exp_name, ret);
		return ret;
	}
	ret = map_dmabuf(region, fc);
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
	const struct daxfs_options *options = &DAXFS_SB(sb)->options;
	const struct daxfs_region_ops *ops = &dax_region_ops;
	int ret;

	if (options->dmabuf)
		ops = &dmabuf_region_ops;
	else if (options->dax)
		ops = &device_dax_region_ops;
	else if (!sb->s_bdev)
		ops = &phys_region_ops;
	xa_init(&region->bad);
	INIT_LIST_HEAD(&region->closing);
	region->plain = !ops->frame;
	ret = ops->open(region, fc, sb);
	if (ret)
		return ret;
	if (region->has_pages)
		region->mapped = kvcalloc(BITS_TO_LONGS(daxfs_region_windows(region)),
					  sizeof(long), GFP_KERNEL);
	if (region->has_pages && !region->mapped) {
		ops->close(region);
		return -ENOMEM;
	}
	region->ops = ops;
	return 0;
}

/*
 * Pages outlive mappings and mounts where somebody holds them: a pipe, a socket,
 * direct I/O under way. The memory must not go before they do.
 */

static LIST_HEAD(closing_regions);
static DEFINE_SPINLOCK(closing_lock);

/**
 * daxfs_region_closing - the mount of this memory begins to end
 * @region: may be closed already
 *
 * From here to daxfs_region_close() who takes the memory away waits for it in
 * daxfs_region_wait_closed() where the list of mounts does not have it any more.
 */
void daxfs_region_closing(struct daxfs_region *region)
{
	if (!region->ops)
		return;
	spin_lock(&closing_lock);
	list_add(&region->closing, &closing_regions);
	spin_unlock(&closing_lock);
}

static bool is_closing(const struct dax_device *dax)
{
	struct daxfs_region *region;
	bool found = false;

	spin_lock(&closing_lock);
	list_for_each_entry(region, &closing_regions, closing)
		found |= region->dax == dax;
	spin_unlock(&closing_lock);
	return found;
}

/* How long to sleep until what ends by itself is looked at again. */
#define LOOK_AGAIN	msecs_to_jiffies(20)

/**
 * daxfs_region_wait_closed - until no mount that ends has memory of a device
 * @dax: the device, which goes away
 */
void daxfs_region_wait_closed(const struct dax_device *dax)
{
	while (is_closing(dax))
		schedule_timeout_idle(LOOK_AGAIN);
}

static bool is_held(struct daxfs_region *region, unsigned long *window)
{
	const unsigned long windows = daxfs_region_windows(region);
	unsigned long pfn, end;

	for_each_set_bit_from(*window, region->mapped, windows) {
		daxfs_region_window(region, *window, &pfn, &end);
		if (daxfs_window_held(region, pfn, end - pfn))
			return true;
		cond_resched();
	}
	return false;
}

/**
 * daxfs_region_drop_pages - wait until nobody holds a page, then give them back
 * @region: the memory, which nobody can map any more
 * @sb: its mount, for what a fault on its way has yet mapped; or NULL
 */
void daxfs_region_drop_pages(struct daxfs_region *region, struct super_block *sb)
{
	unsigned long window = 0, pfn, end, begun = jiffies;
	bool told = false;

	if (!region->mapped)
		return;
	while (is_held(region, &window)) {
		if (!told && time_after(jiffies, begun + 10 * HZ)) {
			pr_warn("waits for processes that hold pages of the memory at 0x%llx (a pipe, a socket, direct I/O)\n",
				(u64)window * SZ_2M);
			told = true;
		}
		schedule_timeout_idle(LOOK_AGAIN);
		if (sb)
			daxfs_unmap_files(sb);
	}
	for_each_set_bit(window, region->mapped, daxfs_region_windows(region)) {
		daxfs_region_window(region, window, &pfn, &end);
		daxfs_window_release(region, pfn, end - pfn);
		clear_bit(window, region->mapped);
	}
}

/**
 * daxfs_region_close - give the memory back
 * @region: may be closed already
 */
void daxfs_region_close(struct daxfs_region *region)
{
	if (!region->ops)
		return;
	daxfs_region_drop_pages(region, NULL);
	region->ops->close(region);
	spin_lock(&closing_lock);
	list_del_init(&region->closing);
	spin_unlock(&closing_lock);
	kvfree(region->mapped);
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
 * @sbi: the mount
 * @off: where it failed, in bytes of the device or the range
 * @len: bytes that failed; U64_MAX when the device goes away
 *
 * On return nothing new is read from it or mapped. What is mapped already, the
 * caller unmaps.
 */
void daxfs_region_fail(struct daxfs_sb_info *sbi, u64 off, u64 len)
{
	struct daxfs_region *region = &sbi->region;
	bool gone = len == U64_MAX;
	u64 at;

	for (at = off; !gone && at - off < len; at += PAGE_SIZE) {
		if (at - region->dax_start >= region->size)
			continue;
		gone = xa_err(xa_store(&region->bad, (at - region->dax_start) >> PAGE_SHIFT,
				       xa_mk_value(1), GFP_KERNEL));
		WRITE_ONCE(region->plain, false);
	}
	if (gone) {
		WRITE_ONCE(region->gone, true);
		WRITE_ONCE(region->plain, false);
	}
	synchronize_srcu(&sbi->srcu);
}
