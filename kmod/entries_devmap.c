// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-map entries, for kernels that have them: get_user_pages finds the page
 * by the memory's pagemap, everyone else sees a frame. They count neither
 * references nor resident memory.
 */
#include "entries.h"

#ifdef DAXFS_DEVMAP_ENTRIES

/* A page that nobody holds has one reference, the pagemap's. */
#define IDLE_REFS	1

int daxfs_fill_pages(struct daxfs_region *region, struct vm_area_struct *vma,
		     unsigned long addr, unsigned long pfn, unsigned long pages)
{
	struct daxfs_fill fill = {
		.vma = vma,
		.pte = pte_mkdevmap(pfn_pte(pfn, vma->vm_page_prot)),
		.pages = pages,
	};

	daxfs_region_mark_mapped(region, pfn, pages);
	return daxfs_fill_entries(&fill, addr);
}

vm_fault_t daxfs_fill_huge(struct daxfs_region *region, struct vm_fault *vmf,
			   unsigned long pfn)
{
	daxfs_region_mark_mapped(region, pfn, PTRS_PER_PTE);
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV | PFN_MAP), false);
}

bool daxfs_window_held(struct daxfs_region *region, unsigned long pfn, unsigned long pages)
{
	for (; pages; pages--, pfn++)
		if (page_ref_count(pfn_to_page(pfn)) != IDLE_REFS)
			return true;
	return false;
}

void daxfs_window_release(struct daxfs_region *region, unsigned long pfn, unsigned long pages)
{
}

#endif /* DAXFS_DEVMAP_ENTRIES */
