// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults: map ahead. One fault maps 2 MiB by one entry where file, address
 * and memory are aligned alike, else as many 4 KiB entries as mapping and file
 * have in that window; the first fault in an empty window a part of them, since
 * it may be the only one, unless the window before has been filled. A private
 * write gets a copy of one page.
 *
 * What an entry is like depends on memory and kernel, see entries.h.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "daxfs.h"
#include "entries.h"
#include "trace.h"

/* What the first fault in an empty 2 MiB window maps at most, and aligned to that. */
#define FIRST_BYTES	SZ_256K

/* -ENOMEM may only mean that the page table was freed under us: retry this many times. */
#define FILL_TRIES	3

/*
 * A 2 MiB entry and a page table must not compete for a window: the core warns
 * of the one where it wants the other. Whoever puts in either holds its lock.
 */
static struct mutex window_locks[16];

static struct mutex *daxfs_lock_window(const struct vm_fault *vmf)
{
	struct mutex *lock = &window_locks[hash_ptr(vmf->pmd, ilog2(ARRAY_SIZE(window_locks)))];

	mutex_lock(lock);
	return lock;
}

static pgoff_t daxfs_file_pages(const struct daxfs_node *node)
{
	return DIV_ROUND_UP(node->size, PAGE_SIZE);
}

static vm_fault_t daxfs_fault_corrupt(struct daxfs_fault *fault, int ret)
{
	if (ret == -EUCLEAN)
		daxfs_report(fault->inode->i_sb, &fault->err);
	return ret == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* Fill a run of entries in one 2 MiB window, whose lock is held. */
static int daxfs_fill_run(struct daxfs_fault *fault, unsigned long addr, unsigned long pfn,
			  unsigned long pages, bool hole)
{
	struct vm_area_struct *vma = fault->vmf->vma;
	struct daxfs_region *region = &fault->sbi->region;

	if (hole)
		return daxfs_fill_special(vma, addr, pfn, pages, true);
	if (region->has_pages)
		return daxfs_fill_pages(region, vma, addr, pfn, pages);
	return daxfs_fill_special(vma, addr, pfn, pages, false);
}

static int daxfs_fill_window(struct daxfs_fault *fault, unsigned long addr, unsigned long pfn,
			     unsigned long pages, bool hole)
{
	struct mutex *lock = daxfs_lock_window(fault->vmf);
	int tries, ret = -ENOMEM;

	for (tries = 0; tries < FILL_TRIES && ret == -ENOMEM; tries++) {
		/* It has got a 2 MiB entry meanwhile, and so what is asked for. */
		ret = daxfs_pmd_is_leaf(READ_ONCE(*fault->vmf->pmd)) ? 0 :
		      daxfs_fill_run(fault, addr, pfn, pages, hole);
	}
	mutex_unlock(lock);
	return ret;
}

/* Fill the entries of [start, end), in one 2 MiB window, file page first at start. */
static vm_fault_t daxfs_map_range(struct daxfs_fault *fault, unsigned long start,
				  unsigned long end, pgoff_t first)
{
	struct daxfs_region *region = &fault->sbi->region;
	struct daxfs_map map;
	int ret;

	while (start < end) {
		unsigned long pages, run, pfn;

		ret = daxfs_file_map(&fault->sbi->image, fault->node,
				     (u64)first << PAGE_SHIFT, &map, &fault->err);
		if (ret)
			return daxfs_fault_corrupt(fault, ret);
		run = min_t(u64, PAGE_ALIGN(map.len), end - start) >> PAGE_SHIFT;
		pfn = daxfs_zero_pfn(start);
		if (!map.hole)
			run = daxfs_region_pfns(region, map.off, run, &pfn);
		if (!run && first == fault->vmf->pgoff)
			return VM_FAULT_HWPOISON;
		pages = max(run, 1UL);
		ret = run ? daxfs_fill_window(fault, start, pfn, run, map.hole) : 0;
		if (ret)
			return daxfs_fault_corrupt(fault, ret);
		start += pages << PAGE_SHIFT;
		first += pages;
	}
	return VM_FAULT_NOPAGE;
}

static vm_fault_t daxfs_map_page(struct daxfs_fault *fault)
{
	unsigned long start = fault->vmf->address & PAGE_MASK;

	return daxfs_map_range(fault, start, start + PAGE_SIZE, fault->vmf->pgoff);
}

/* What of the fault's aligned @bytes the mapping and the file have. */
static vm_fault_t daxfs_map_around(struct daxfs_fault *fault, unsigned long bytes)
{
	struct vm_fault *vmf = fault->vmf;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = max(vmf->address & -bytes, vma->vm_start);
	unsigned long end = min((vmf->address | (bytes - 1)) + 1, vma->vm_end);
	pgoff_t first = linear_page_index(vma, start);
	pgoff_t left = daxfs_file_pages(fault->node) - first;
	vm_fault_t ret;

	if ((end - start) >> PAGE_SHIFT > left)
		end = start + (left << PAGE_SHIFT);
	trace_daxfs_fault(fault->inode, start, (end - start) >> PAGE_SHIFT, 0);
	ret = daxfs_map_range(fault, start, end, first);
	/* What is wrong elsewhere in the window is not this page's. */
	if (ret & VM_FAULT_ERROR)
		ret = daxfs_map_page(fault);
	return ret;
}

/* Has the 2 MiB window below the fault's been filled, from end to end? */
static bool daxfs_window_was_filled(const struct vm_fault *vmf)
{
	unsigned long start = vmf->address & PMD_MASK;
	const pte_t *ptes;
	bool filled;
	pmd_t pmd;

	/* In the same page of a page table, and all of it this mapping's. */
	if (!(start & ~PUD_MASK) || start - PMD_SIZE < vmf->vma->vm_start)
		return false;
	pmd = READ_ONCE(vmf->pmd[-1]);
	if (!pmd_present(pmd) || daxfs_pmd_is_leaf(pmd))
		return false;
	/* It may go while we look, but not before the end of this section. */
	rcu_read_lock();
	ptes = (const pte_t *)pmd_page_vaddr(pmd);
	filled = !pte_none(READ_ONCE(ptes[0])) && !pte_none(READ_ONCE(ptes[PTRS_PER_PTE - 1]));
	rcu_read_unlock();
	return filled;
}

static vm_fault_t daxfs_map_window(struct daxfs_fault *fault)
{
	bool first = pmd_none(READ_ONCE(*fault->vmf->pmd));

	if (first && !daxfs_window_was_filled(fault->vmf))
		return daxfs_map_around(fault, FIRST_BYTES);
	return daxfs_map_around(fault, PMD_SIZE);
}

/* Can the fault's window be one 2 MiB entry, of frames from *pfn on? */
static bool daxfs_can_map_huge(struct daxfs_fault *fault, unsigned long *pfn)
{
	const unsigned long pages = PMD_SIZE >> PAGE_SHIFT;
	struct daxfs_region *region = &fault->sbi->region;
	struct vm_fault *vmf = fault->vmf;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = vmf->address & PMD_MASK;
	pgoff_t first;
	u64 off;

	if (!region->has_pages || start < vma->vm_start || start + PMD_SIZE > vma->vm_end)
		return false;
	first = linear_page_index(vma, start);
	if (first + pages > daxfs_file_pages(fault->node))
		return false;
	/* Extents are read each time, and may not be what they were. */
	if (fault->node->layout != DAXFS_LAYOUT_FLAT)
		return false;
	off = fault->node->data + ((u64)first << PAGE_SHIFT);
	return IS_ALIGNED(region->pfn + (off >> PAGE_SHIFT), pages) &&
	       daxfs_region_pfns(region, off, pages, pfn) == pages;
}

static vm_fault_t daxfs_map_huge(struct daxfs_fault *fault, unsigned long pfn)
{
	struct mutex *lock = daxfs_lock_window(fault->vmf);
	vm_fault_t ret;

	trace_daxfs_fault(fault->inode, fault->vmf->address & PMD_MASK,
			  PMD_SIZE >> PAGE_SHIFT, PMD_SHIFT - PAGE_SHIFT);
	ret = daxfs_fill_huge(&fault->sbi->region, fault->vmf, pfn);
	mutex_unlock(lock);
	return ret;
}

/* By one entry of 2 MiB where that can be, else by pages. */
static vm_fault_t daxfs_map_ahead(struct daxfs_fault *fault)
{
	vm_fault_t ret = VM_FAULT_FALLBACK;
	unsigned long pfn;

	if (pmd_none(READ_ONCE(*fault->vmf->pmd)) && daxfs_can_map_huge(fault, &pfn))
		ret = daxfs_map_huge(fault, pfn);
	return ret == VM_FAULT_FALLBACK ? daxfs_map_window(fault) : ret;
}

/* Inline, so that sparse sees which of its callers' paths hold the region. */
static inline bool daxfs_fault_begin(struct daxfs_fault *fault, struct vm_fault *vmf, int *id)
{
	fault->vmf = vmf;
	fault->inode = file_inode(vmf->vma->vm_file);
	fault->sbi = DAXFS_SB(fault->inode->i_sb);
	fault->node = &DAXFS_I(fault->inode)->node;
	/* Nothing is added to what the killer of this process takes away. */
	return vmf->pgoff < daxfs_file_pages(fault->node) &&
	       !check_stable_address_space(vmf->vma->vm_mm) &&
	       daxfs_region_read_lock(fault->sbi, id);
}

/*
 * A debugger's write to a private page that is mapped already copies it by its
 * struct page. Kernels look for none behind a device-map entry and copy from the
 * debugger's own memory: who may be debugged gets page by page there.
 */
static bool daxfs_fault_needs_page(const struct daxfs_fault *fault)
{
	const struct vm_fault *vmf = fault->vmf;

	return DAXFS_ENTRIES_HIDE_PAGES && fault->sbi->region.has_pages &&
	       (vmf->vma->vm_flags & VM_MAYWRITE) &&
	       (unlikely(current->ptrace) || unlikely(vmf->flags & FAULT_FLAG_REMOTE));
}

/*
 * The first fault in an empty window comes here, also when no 2 MiB entry will
 * do: filling the entries now saves the core a preallocated page table.
 */
static vm_fault_t daxfs_huge_fault(struct vm_fault *vmf, daxfs_fault_order order)
{
	struct daxfs_fault fault;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	int id;

	/* A write to a private mapping copies one page: not here. */
	if (order != DAXFS_FAULT_PMD || (vmf->flags & FAULT_FLAG_WRITE))
		return ret;
	if (!daxfs_fault_begin(&fault, vmf, &id))
		return VM_FAULT_SIGBUS;
	if (!daxfs_fault_needs_page(&fault))
		ret = daxfs_map_ahead(&fault);
	daxfs_region_read_unlock(fault.sbi, id);
	return ret;
}

/* One page of the file; to is where the core wants its copy, else it maps the page. */
static vm_fault_t daxfs_fault_one_page(struct daxfs_fault *fault, struct page *to)
{
	struct vm_fault *vmf = fault->vmf;
	struct daxfs_region *region = &fault->sbi->region;
	struct daxfs_map map;
	unsigned long pfn;
	int ret;

	ret = daxfs_file_map(&fault->sbi->image, fault->node,
			     (u64)vmf->pgoff << PAGE_SHIFT, &map, &fault->err);
	if (ret)
		return daxfs_fault_corrupt(fault, ret);
	if (map.hole && !to)
		return daxfs_map_page(fault);
	if (!map.hole && !daxfs_region_pfns(region, map.off, 1, &pfn))
		return VM_FAULT_HWPOISON;
	/*
	 * The core copies when the region has been left: it gets what it would
	 * copy to, with the copy in it.
	 */
	if (to && map.hole)
		clear_highpage(to);
	else if (to && copy_mc_to_kernel(page_address(to), region->base + map.off, PAGE_SIZE))
		return VM_FAULT_HWPOISON;
	vmf->page = to ? to : pfn_to_page(pfn);
	get_page(vmf->page);
	/* The region does not go while a page of it is held. */
	if (!to)
		daxfs_region_mark_mapped(region, pfn, 1);
	return 0;
}

static vm_fault_t daxfs_fault(struct vm_fault *vmf)
{
	struct daxfs_fault fault;
	vm_fault_t ret;
	int id;

	if (!daxfs_fault_begin(&fault, vmf, &id))
		return VM_FAULT_SIGBUS;
	if (vmf->cow_page || daxfs_fault_needs_page(&fault))
		ret = daxfs_fault_one_page(&fault, vmf->cow_page);
	else
		ret = daxfs_map_ahead(&fault);
	daxfs_region_read_unlock(fault.sbi, id);
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

static int daxfs_access_run(struct daxfs_fault *fault, u64 pos, void *buf, int len)
{
	struct daxfs_map map;
	int ret;

	ret = daxfs_file_map(&fault->sbi->image, fault->node, pos, &map, &fault->err);
	if (ret == -EUCLEAN)
		daxfs_report(fault->inode->i_sb, &fault->err);
	if (ret)
		return ret;
	len = min_t(u64, len, map.len);
	if (map.hole) {
		memset(buf, 0, len);
		return len;
	}
	len = daxfs_region_good(&fault->sbi->region, map.off, len);
	if (!len || copy_mc_to_kernel(buf, fault->sbi->region.base + map.off, len))
		return -EIO;
	return len;
}

/* What a debugger reads where there are no pages to be had. */
static int daxfs_access(struct vm_area_struct *vma, unsigned long addr, void *buf,
			int len, int write)
{
	u64 pos = ((u64)linear_page_index(vma, addr) << PAGE_SHIFT) + offset_in_page(addr);
	struct vm_fault vmf = { .vma = vma, .pgoff = pos >> PAGE_SHIFT };
	struct daxfs_fault fault;
	int done = 0, ret = 1, id;

	if (write || !daxfs_fault_begin(&fault, &vmf, &id))
		return -EIO;
	/* Behind the end of the file are zeros, to the end of its page. */
	len = min_t(u64, len, PAGE_ALIGN(fault.node->size) - pos);
	memset(buf, 0, len);
	while (done < len && pos + done < fault.node->size && ret > 0) {
		ret = daxfs_access_run(&fault, pos + done, buf + done,
				       min_t(u64, len - done, fault.node->size - pos - done));
		done += max(ret, 0);
	}
	daxfs_region_read_unlock(fault.sbi, id);
	return ret > 0 ? len : done ? done : ret;
}

static const struct vm_operations_struct daxfs_vm_ops = {
	.fault		= daxfs_fault,
	.huge_fault	= daxfs_huge_fault,
	.map_pages	= daxfs_map_pages,
	.access		= daxfs_access,
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

/** daxfs_fault_init - once, before the first mount */
void daxfs_fault_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(window_locks); i++)
		mutex_init(&window_locks[i]);
}
