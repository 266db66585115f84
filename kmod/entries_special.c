// SPDX-License-Identifier: GPL-2.0-only
/*
 * Special entries: a frame and nothing behind it. No 2 MiB ones: the core takes
 * what is below a huge entry for pages, on most kernels without a look at the
 * mapping, and where there are none it reads a hole of the memory map.
 */
#include "arch.h"
#include "entries.h"

/* Called for the first entry, fills them all: they lie one after the other. */
static int daxfs_fill_special_entries(pte_t *ptep, unsigned long addr, void *data)
{
	const struct daxfs_fill *fill = data;
	struct mm_struct *mm = fill->vma->vm_mm;
	pte_t *end = ptep + fill->pages, pte = fill->pte;
	const unsigned long step = fill->same ? 0 : daxfs_pte_step(pte);

	for (; ptep < end; ptep++, addr += PAGE_SIZE) {
		if (likely(pte_none(ptep_get(ptep))))
			set_pte_at(mm, addr, ptep, pte);
		else if (daxfs_pte_wp_marker(ptep_get(ptep)))
			set_pte_at(mm, addr, ptep, daxfs_pte_protect(pte));
		pte = __pte(pte_val(pte) + step);
	}
	return 0;
}

int daxfs_fill_entries(struct daxfs_fill *fill, unsigned long addr)
{
	return apply_to_page_range(fill->vma->vm_mm, addr, PAGE_SIZE,
				   daxfs_fill_special_entries, fill);
}

int daxfs_fill_special(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long pfn, unsigned long pages, bool same)
{
	struct daxfs_fill fill = {
		.vma = vma,
		.pte = pte_mkspecial(pfn_pte(pfn, vma->vm_page_prot)),
		.pages = pages,
		.same = same,
	};

	return daxfs_fill_entries(&fill, addr);
}
