// SPDX-License-Identifier: GPL-2.0-only
/* The memory behind a mount: opened, used, failing, closed. The files beside say where from. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>

#include "daxfs.h"

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
	const struct daxfs_region_ops *ops = &daxfs_pmem_ops;
	int ret;

	if (options->dmabuf)
		ops = &daxfs_dmabuf_ops;
	else if (options->dax)
		ops = &daxfs_device_dax_ops;
	else if (!sb->s_bdev)
		ops = &daxfs_phys_ops;
	xa_init(&region->bad);
	INIT_LIST_HEAD(&region->closing);
	region->linear = !ops->frame;
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

static bool daxfs_region_is_closing(const struct dax_device *dax)
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
	while (daxfs_region_is_closing(dax))
		schedule_timeout_idle(LOOK_AGAIN);
}

static bool daxfs_region_is_held(struct daxfs_region *region, unsigned long *window)
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
	while (daxfs_region_is_held(region, &window)) {
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
 * daxfs_region_pfns_slow - daxfs_region_pfns() for scattered or failing memory
 * @region: the memory
 * @off: bytes from its start, page aligned
 * @max: pages wanted, more than 0
 * @pfn: set to the first page frame
 *
 * Return: as daxfs_region_pfns().
 */
unsigned long daxfs_region_pfns_slow(struct daxfs_region *region, u64 off,
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
		WRITE_ONCE(region->linear, false);
	}
	if (gone) {
		WRITE_ONCE(region->gone, true);
		WRITE_ONCE(region->linear, false);
	}
	synchronize_srcu(&sbi->srcu);
}
