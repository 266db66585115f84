// SPDX-License-Identifier: GPL-2.0-only
/*
 * Special entries: a frame and nothing behind it. No 2 MiB ones: the core takes
 * what is below a huge entry for pages, on most kernels without a look at the
 * mapping, and where there are none it reads a hole of the memory map.
 */
#include "entries.h"

/* An empty entry that remembers a write protection of userfaultfd gives it on. */
static bool fill_marker(struct mm_struct *mm, unsigned long addr, pte_t *ptep, pte_t pte)
{
	if (!daxfs_pte_wp_marker(ptep_get(ptep)))
		return false;
	set_pte_at(mm, addr, ptep, daxfs_pte_protect(pte));
	return true;
}

static pte_t pte_at(const struct daxfs_fill *fill, unsigned long index)
{
	if (fill->same || !index)
		return fill->pte;
	/* Keeps the bits beside the frame, the mechanism's too. */
	return pfn_pte(pte_pfn(fill->pte) + index, pte_pgprot(fill->pte));
}

/* Called for the first entry, fills them all: they lie one after the other. */
static int fill_entries(pte_t *ptep, unsigned long addr, void *data)
{
	const struct daxfs_fill *fill = data;
	struct mm_struct *mm = fill->vma->vm_mm;
	unsigned long i = 0, run;

	while (i < fill->pages) {
		for (run = i; run < fill->pages && pte_none(ptep_get(ptep + run)); run++)
			;
		if (run == i)
			fill_marker(mm, addr + (i << PAGE_SHIFT), ptep + i, pte_at(fill, i));
		else if (fill->same)
			run = i + 1;
		if (run > i)
			set_ptes(mm, addr + (i << PAGE_SHIFT), ptep + i, pte_at(fill, i), run - i);
		i = max(run, i + 1);
	}
	return 0;
}

int daxfs_fill_entries(struct daxfs_fill *fill, unsigned long addr)
{
	return apply_to_page_range(fill->vma->vm_mm, addr, PAGE_SIZE, fill_entries, fill);
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
