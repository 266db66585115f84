// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults: map ahead. One fault maps 2 MiB by one entry where file, address
 * and memory are aligned alike, else as many 4 KiB entries as mapping and file
 * have in that window; a private write one page, since it is the one that copies.
 *
 * A 2 MiB entry and a page table never compete for a window: which of the two
 * it gets follows from mapping and inode alone (see can_map_huge()).
 */
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/pagemap.h>

#include "daxfs.h"
#include "trace.h"

/* What one fault looks at. */
struct daxfs_fault {
	struct vm_fault *vmf;
	struct inode *inode;
	struct daxfs_sb_info *sbi;
	const struct daxfs_node *node;
	struct daxfs_err err;
};

/* A run of entries of one page table. */
struct daxfs_fill {
	struct mm_struct *mm;
	pte_t pte;		/* the first one */
	unsigned long pages;
	bool hole;		/* all are the zero page */
};

/* Called for the first entry, fills them all: they lie one after the other. */
static int fill_ptes(pte_t *ptep, unsigned long addr, void *data)
{
	const struct daxfs_fill *fill = data;
	pte_t *end = ptep + fill->pages, pte = fill->pte;
	bool hole = fill->hole;

	for (; ptep < end; ptep++, addr += PAGE_SIZE) {
		if (likely(pte_none(*ptep)))
			set_pte_at(fill->mm, addr, ptep, pte);
		if (likely(!hole))
			pte = pte_next_pfn(pte);
	}
	return 0;
}

/* An entry for a frame; a device's page is found by get_user_pages, others not. */
static pte_t make_pte(unsigned long pfn, pgprot_t prot, bool has_page)
{
	pte_t pte = pfn_pte(pfn, prot);

	return has_page ? pte_mkdevmap(pte) : pte_mkspecial(pte);
}

static pgoff_t file_pages(const struct daxfs_node *node)
{
	return DIV_ROUND_UP(node->size, PAGE_SIZE);
}

static vm_fault_t bad_image(struct daxfs_fault *fault, int ret)
{
	if (ret == -EUCLEAN)
		daxfs_report(fault->inode->i_sb, &fault->err);
	return ret == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* Fill the entries of [start, end), in one 2 MiB window, file page first at start. */
static vm_fault_t map_range(struct daxfs_fault *fault, unsigned long start,
			    unsigned long end, pgoff_t first)
{
	struct vm_area_struct *vma = fault->vmf->vma;
	struct daxfs_region *region = &fault->sbi->region;
	struct daxfs_map map;
	int ret;

	while (start < end) {
		struct daxfs_fill fill = { .mm = vma->vm_mm };
		unsigned long pages, pfn;

		ret = daxfs_file_map(&fault->sbi->image, fault->node,
				     (u64)first << PAGE_SHIFT, &map, &fault->err);
		if (ret)
			return bad_image(fault, ret);
		fill.hole = map.hole;
		fill.pages = min_t(u64, PAGE_ALIGN(map.len), end - start) >> PAGE_SHIFT;
		pfn = my_zero_pfn(start);
		if (!map.hole)
			fill.pages = daxfs_region_run(region, map.off, fill.pages, &pfn);
		if (!fill.pages && first == fault->vmf->pgoff)
			return VM_FAULT_HWPOISON;
		pages = max(fill.pages, 1UL);
		fill.pte = make_pte(pfn, vma->vm_page_prot, region->has_pages && !map.hole);
		ret = fill.pages ? apply_to_page_range(fill.mm, start, PAGE_SIZE,
						       fill_ptes, &fill) : 0;
		if (ret)
			return bad_image(fault, ret);
		start += pages << PAGE_SHIFT;
		first += pages;
	}
	return VM_FAULT_NOPAGE;
}

static vm_fault_t map_page(struct daxfs_fault *fault)
{
	unsigned long start = fault->vmf->address & PAGE_MASK;

	return map_range(fault, start, start + PAGE_SIZE, fault->vmf->pgoff);
}

/* All of the fault's 2 MiB window that the mapping and the file have. */
static vm_fault_t map_window(struct daxfs_fault *fault)
{
	struct vm_fault *vmf = fault->vmf;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = max(vmf->address & PMD_MASK, vma->vm_start);
	unsigned long end = min((vmf->address | ~PMD_MASK) + 1, vma->vm_end);
	pgoff_t first = linear_page_index(vma, start);
	pgoff_t left = file_pages(fault->node) - first;
	vm_fault_t ret;

	if (end - start > left << PAGE_SHIFT)
		end = start + (left << PAGE_SHIFT);
	trace_daxfs_fault(fault->inode, start, (end - start) >> PAGE_SHIFT, 0);
	ret = map_range(fault, start, end, first);
	/* What is wrong elsewhere in the window is not this page's. */
	if (ret & VM_FAULT_ERROR)
		ret = map_page(fault);
	return ret;
}

/*
 * Can the fault's window be one 2 MiB entry? The answer is the same for every
 * fault in it while the mapping stays as it is.
 */
static bool can_map_huge(struct daxfs_fault *fault, unsigned long *pfn)
{
	struct vm_fault *vmf = fault->vmf;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = vmf->address & PMD_MASK;
	pgoff_t first;

	if (start < vma->vm_start || start + PMD_SIZE > vma->vm_end)
		return false;
	first = linear_page_index(vma, start);
	if (first + (PMD_SIZE >> PAGE_SHIFT) > file_pages(fault->node))
		return false;
	/* Extents are read each time, and may not be what they were. */
	if (fault->node->layout != DAXFS_LAYOUT_FLAT || !fault->sbi->region.plain)
		return false;
	*pfn = fault->sbi->region.pfn + (fault->node->data >> PAGE_SHIFT) + first;
	/* The core takes what is below such an entry for pages, PAGE_TABLE_CHECK always. */
	if (!fault->sbi->region.has_pages && (!(vma->vm_flags & VM_PFNMAP) || pfn_valid(*pfn)))
		return false;
	return IS_ALIGNED(*pfn, PMD_SIZE >> PAGE_SHIFT);
}

static bool begin_fault(struct daxfs_fault *fault, struct vm_fault *vmf)
{
	fault->vmf = vmf;
	fault->inode = file_inode(vmf->vma->vm_file);
	fault->sbi = DAXFS_SB(fault->inode->i_sb);
	fault->node = &DAXFS_I(fault->inode)->node;
	return vmf->pgoff < file_pages(fault->node);
}

/*
 * A debugger's write to a private page that is mapped already copies it by its
 * struct page. The core looks for none behind the entries made here and would
 * copy from the debugger's own memory: who may be debugged gets page by page.
 */
static bool needs_page(const struct vm_fault *vmf)
{
	return vmf->cow_page ||
	       ((vmf->vma->vm_flags & VM_MAYWRITE) &&
		(unlikely(current->ptrace) || unlikely(vmf->flags & FAULT_FLAG_REMOTE)));
}

/*
 * The first fault in an empty window comes here, also when no 2 MiB entry will
 * do: filling the entries now saves the core a preallocated page table.
 */
static vm_fault_t daxfs_huge_fault(struct vm_fault *vmf, daxfs_fault_order order)
{
	struct daxfs_fault fault;
	unsigned long pfn;
	vm_fault_t ret;
	u64 flags;
	int id;

	/* A write to a private mapping copies one page: not here. */
	if (order != DAXFS_FAULT_PMD || (vmf->flags & FAULT_FLAG_WRITE) || needs_page(vmf))
		return VM_FAULT_FALLBACK;
	if (!begin_fault(&fault, vmf) || !daxfs_enter(fault.sbi, &id))
		return VM_FAULT_SIGBUS;
	if (can_map_huge(&fault, &pfn)) {
		trace_daxfs_fault(fault.inode, vmf->address & PMD_MASK,
				  PMD_SIZE >> PAGE_SHIFT, PMD_SHIFT - PAGE_SHIFT);
		flags = fault.sbi->region.has_pages ? PFN_DEV | PFN_MAP : PFN_DEV;
		ret = vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, flags), false);
	} else {
		ret = map_window(&fault);
	}
	daxfs_exit(fault.sbi, id);
	return ret;
}

/* One page of the file, for the core to copy for a write, or to map and count. */
static vm_fault_t give_page(struct daxfs_fault *fault)
{
	struct vm_fault *vmf = fault->vmf;
	struct daxfs_region *region = &fault->sbi->region;
	struct daxfs_map map;
	unsigned long pfn;
	int ret;

	ret = daxfs_file_map(&fault->sbi->image, fault->node,
			     (u64)vmf->pgoff << PAGE_SHIFT, &map, &fault->err);
	if (ret)
		return bad_image(fault, ret);
	if (map.hole || !(region->has_pages || vmf->cow_page))
		return map_page(fault);
	if (!daxfs_region_run(region, map.off, 1, &pfn))
		return VM_FAULT_HWPOISON;
	/* Where the core finds no page to copy from, it gets the copy. */
	vmf->page = region->has_pages ? pfn_to_page(pfn) : vmf->cow_page;
	if (!region->has_pages &&
	    copy_mc_to_kernel(page_address(vmf->page), region->base + map.off, PAGE_SIZE))
		return VM_FAULT_HWPOISON;
	get_page(vmf->page);
	return 0;
}

static vm_fault_t daxfs_fault(struct vm_fault *vmf)
{
	struct daxfs_fault fault;
	vm_fault_t ret;
	int id;

	if (!begin_fault(&fault, vmf) || !daxfs_enter(fault.sbi, &id))
		return VM_FAULT_SIGBUS;
	if (needs_page(vmf))
		ret = give_page(&fault);
	else
		ret = map_window(&fault);
	daxfs_exit(fault.sbi, id);
	return ret;
}

/*
 * Nothing is in a page cache to be mapped around a fault. That this exists
 * tells the core that ->fault may run under the lock of one mapping alone.
 */
static vm_fault_t daxfs_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}

static const struct vm_operations_struct daxfs_vm_ops = {
	.fault		= daxfs_fault,
	.huge_fault	= daxfs_huge_fault,
	.map_pages	= daxfs_map_pages,
};

/**
 * daxfs_file_mmap - map a file straight from the region
 * @file: a regular file, opened for reading as all are
 * @vma: shared without write, or private
 *
 * The core has cleared VM_MAYWRITE for shared mappings of a file that is not
 * open for writing, so only a private mapping can become writable.
 *
 * Return: 0
 */
int daxfs_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct daxfs_sb_info *sbi = DAXFS_SB(file_inode(file)->i_sb);

	vma->vm_ops = &daxfs_vm_ops;
	if (!sbi->region.has_pages)
		vm_flags_set(vma, vma->vm_flags & VM_MAYWRITE ? VM_MIXEDMAP : VM_PFNMAP);
	if (sbi->region.write_combined)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	return 0;
}
