// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf, kept mapped by its exporter from mount to unmount. Its pages need not
 * be contiguous and belong to the exporter. Where an exporter moves them unless
 * they are pinned, the mapping alone does not keep them: those are refused, since
 * a pin is for devices, and this is none.
 */
#include <linux/dma-buf.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "arch.h"
#include "daxfs.h"

static unsigned long daxfs_dmabuf_frame(const struct daxfs_region *region, u64 off)
{
	void *at = region->base + off;

	return is_vmalloc_addr(at) ? vmalloc_to_pfn(at) : PHYS_PFN(virt_to_phys(at));
}

static void daxfs_dmabuf_close(struct daxfs_region *region)
{
	struct iosys_map map = IOSYS_MAP_INIT_VADDR(region->base);

	daxfs_dma_buf_vunmap(region->dmabuf, &map);
}

static int daxfs_map_dmabuf(struct daxfs_region *region, struct fs_context *fc)
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

static int daxfs_dmabuf_open(struct daxfs_region *region, struct fs_context *fc,
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
	ret = daxfs_map_dmabuf(region, fc);
	dma_buf_end_cpu_access(region->dmabuf, DMA_FROM_DEVICE);
	return ret;
}

const struct daxfs_region_ops daxfs_dmabuf_ops = {
	.open	= daxfs_dmabuf_open,
	.close	= daxfs_dmabuf_close,
	.frame	= daxfs_dmabuf_frame,
};
