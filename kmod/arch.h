/* SPDX-License-Identifier: GPL-2.0-only */
/* What is the machine's. The only place that asks which one it is. */
#ifndef DAXFS_ARCH_H
#define DAXFS_ARCH_H

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>

#include "compat.h"

#if !defined(CONFIG_X86_64) && !defined(CONFIG_ARM64)
#error "daxfs knows x86-64 and arm64"
#endif

/* Is it an address that no memory of this machine can have? */
static inline bool daxfs_beyond_cpu(phys_addr_t phys)
{
#ifdef CONFIG_X86_64
	return phys >> boot_cpu_data.x86_phys_bits;
#else
	return phys & ~(phys_addr_t)PHYS_MASK;
#endif
}

/*
 * How is memory cached that the kernel has mapped already? All mappings of a page
 * must agree. False: in a way, or nobody can tell in which, that users' mappings
 * cannot follow.
 */
static inline bool daxfs_mapped_as(void *address, bool *write_combined)
{
#ifdef CONFIG_X86_64
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)address, &level);

	*write_combined = pte && (pte_flags(*pte) & (_PAGE_PWT | _PAGE_PCD));
	return true;
#else
	/* The linear map is cached, of others modules cannot ask. */
	*write_combined = false;
	return !is_vmalloc_addr(address);
#endif
}

/* From an entry's value to that of the next frame. */
static inline unsigned long daxfs_pte_step(pte_t pte)
{
#ifdef CONFIG_X86_64
	/* It inverts the frame in entries that nobody may use. */
	if (__pte_needs_invert(pte_val(pte)))
		return -(1UL << PFN_PTE_SHIFT);
#endif
	return 1UL << PFN_PTE_SHIFT;
}

#endif /* DAXFS_ARCH_H */
