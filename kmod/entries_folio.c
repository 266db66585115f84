// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries that count, for kernels on which DAX pages are counted as any others:
 * get_user_pages, RSS, a debugger's copy and unmapping are the core's own.
 *
 * The memory is made into folios of 2 MiB (smaller at its edges) when a window
 * of it is mapped first, whatever files lie there: what is counted is then a
 * folio and not 512 pages. Such a folio belongs to no file and its index lies
 * behind every file's end, so that a page of it which ->fault returned is mapped
 * alone and never brings another file's pages with it.
 */
#include "entries.h"

#ifndef DAXFS_DEVMAP_ENTRIES
#include <linux/memremap.h>
#include <linux/rmap.h>

/* Folios are made once, one window at a time. */
static DEFINE_MUTEX(make_lock);

/* Above the pages of the largest file that can be. */
#define BEHIND_ALL_FILES	(1UL << (64 - PAGE_SHIFT))

/* The largest folio that starts at pfn and ends before end. */
static unsigned int daxfs_folio_order_at(unsigned long pfn, unsigned long end)
{
	unsigned int order = min_t(unsigned int, PMD_ORDER, ilog2(end - pfn));

	return min_t(unsigned int, order, __ffs(pfn | 1UL << PMD_ORDER));
}

/* Somebody who had the memory before may hold a page of it still. */
static bool daxfs_pages_are_idle(unsigned long pfn, unsigned long pages)
{
	for (; pages; pages--, pfn++)
		if (page_ref_count(pfn_to_page(pfn)))
			return false;
	return true;
}

static int daxfs_make_folios(struct daxfs_region *region, unsigned long window)
{
	unsigned long pfn, end;
	struct folio *folio;
	unsigned int order;

	daxfs_region_window(region, window, &pfn, &end);
	if (!daxfs_pages_are_idle(pfn, end - pfn))
		return -EBUSY;
	for (; pfn < end; pfn += 1UL << order) {
		order = daxfs_folio_order_at(pfn, end);
		folio = (struct folio *)pfn_to_page(pfn);
		zone_device_folio_init(folio, page_pgmap(&folio->page), order);
		folio->index = BEHIND_ALL_FILES + pfn;
		folio_unlock(folio);
	}
	/* Pairs with the load in daxfs_need_folios(). */
	smp_mb__before_atomic();
	set_bit(window, region->mapped);
	return 0;
}

static int daxfs_need_folios(struct daxfs_region *region, unsigned long pfn, unsigned long pages)
{
	unsigned long window = daxfs_region_window_of(region, pfn);
	unsigned long last = daxfs_region_window_of(region, pfn + pages - 1);
	int ret = 0;

	for (; window <= last && !ret; window++) {
		if (likely(test_bit_acquire(window, region->mapped)))
			continue;
		mutex_lock(&make_lock);
		if (!test_bit(window, region->mapped))
			ret = daxfs_make_folios(region, window);
		mutex_unlock(&make_lock);
	}
	return ret;
}

/* What folio_add_file_rmap_ptes() does, which modules cannot call. */
static void daxfs_add_rmap(struct folio *folio, struct page *page, unsigned long pages,
			   struct vm_area_struct *vma)
{
	int mapped = 0;

#ifdef CONFIG_PAGE_MAPCOUNT
	unsigned long i;

	if (!folio_test_large(folio)) {
		mapped = atomic_inc_and_test(&folio->_mapcount);
	} else {
		for (i = 0; i < pages; i++)
			mapped += atomic_inc_and_test(&page[i]._mapcount);
		if (mapped && atomic_add_return_relaxed(mapped, &folio->_nr_pages_mapped) >=
			      DAXFS_ENTIRELY_MAPPED)
			mapped = 0;
		folio_add_large_mapcount(folio, pages, vma);
	}
#else
	if (!folio_test_large(folio))
		mapped = atomic_inc_and_test(&folio->_mapcount);
	else if (folio_add_return_large_mapcount(folio, pages, vma) == pages)
		mapped = folio_large_nr_pages(folio);
#endif
	if (mapped)
		mod_node_page_state(folio_pgdat(folio), NR_FILE_MAPPED, mapped);
}

struct folio_fill {
	struct vm_area_struct *vma;
	unsigned long pfn;
	unsigned long pages;
	unsigned long mapped;	/* out */
};

static void daxfs_fill_folio_run(struct folio_fill *fill, pte_t *ptep, unsigned long addr,
				 struct page *page, unsigned long pages, bool protect)
{
	struct folio *folio = page_folio(page);
	pte_t pte = mk_pte(page, fill->vma->vm_page_prot);

	folio_ref_add(folio, pages);
	daxfs_add_rmap(folio, page, pages, fill->vma);
	set_ptes(fill->vma->vm_mm, addr, ptep, protect ? daxfs_pte_protect(pte) : pte, pages);
	fill->mapped += pages;
}

/* How many entries from here on are empty and of one folio; 0: not empty. */
static unsigned long daxfs_empty_run(pte_t *ptep, struct page *page, unsigned long max)
{
	struct folio *folio = page_folio(page);
	unsigned long run;

	max = min(max, folio_nr_pages(folio) - folio_page_idx(folio, page));
	for (run = 0; run < max && pte_none(ptep_get(ptep + run)); run++)
		;
	return run;
}

/* Called for the first entry, fills them all: they lie one after the other. */
static int daxfs_fill_folio_entries(pte_t *ptep, unsigned long addr, void *data)
{
	struct folio_fill *fill = data;
	struct page *page = pfn_to_page(fill->pfn);
	unsigned long left = fill->pages, run;

	while (left) {
		run = daxfs_empty_run(ptep, page, left);
		if (run)
			daxfs_fill_folio_run(fill, ptep, addr, page, run, false);
		else if (daxfs_pte_wp_marker(ptep_get(ptep)))
			daxfs_fill_folio_run(fill, ptep, addr, page, 1, true);
		run = max(run, 1UL);
		left -= run;
		ptep += run;
		page += run;
		addr += run << PAGE_SHIFT;
	}
	return 0;
}

int daxfs_fill_pages(struct daxfs_region *region, struct vm_area_struct *vma,
		     unsigned long addr, unsigned long pfn, unsigned long pages)
{
	struct folio_fill fill = { .vma = vma, .pfn = pfn, .pages = pages };
	int ret = daxfs_need_folios(region, pfn, pages);

	if (ret)
		return ret;
	ret = apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE, daxfs_fill_folio_entries, &fill);
	/* add_mm_counter() is not for modules; it would add a tracepoint to this. */
	if (fill.mapped)
		percpu_counter_add(&vma->vm_mm->rss_stat[MM_FILEPAGES], fill.mapped);
	return ret;
}

vm_fault_t daxfs_fill_huge(struct daxfs_region *region, struct vm_fault *vmf,
			   unsigned long pfn)
{
	if (daxfs_need_folios(region, pfn, PTRS_PER_PTE))
		return VM_FAULT_FALLBACK;
	return vmf_insert_folio_pmd(vmf, page_folio(pfn_to_page(pfn)), false);
}

bool daxfs_window_held(struct daxfs_region *region, unsigned long pfn, unsigned long pages)
{
	struct folio *folio;
	unsigned long end;

	for (end = pfn + pages; pfn < end; pfn += folio_nr_pages(folio)) {
		folio = page_folio(pfn_to_page(pfn));
		if (folio_ref_count(folio) != 1)
			return true;
	}
	return false;
}

/* Give the pages back as they came: each its own folio, not referenced. */
void daxfs_window_release(struct daxfs_region *region, unsigned long pfn, unsigned long pages)
{
	unsigned long end = pfn + pages;
	struct folio *folio;
	int order;

	for (; pfn < end; pfn += 1UL << order) {
		struct dev_pagemap *pgmap = page_pgmap(pfn_to_page(pfn));

		folio = page_folio(pfn_to_page(pfn));
		WARN_ON_ONCE(!folio_ref_freeze(folio, 1));
		folio_clear_referenced(folio);
		order = dax_folio_reset_order(folio);
		percpu_ref_put_many(&pgmap->ref, 1UL << order);
	}
}

#endif /* !DAXFS_DEVMAP_ENTRIES */
