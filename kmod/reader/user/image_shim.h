/* SPDX-License-Identifier: Apache-2.0 */
/* What image.c finds in the kernel, for a program: included by it alone. */
#ifndef DAXFS_IMAGE_SHIM_H
#define DAXFS_IMAGE_SHIM_H

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define le16_to_cpu(x)		((u16)(x))
#define le32_to_cpu(x)		((u32)(x))
#define le64_to_cpu(x)		((u64)(x))
#else
#error "DAXFS tools need a little-endian machine"
#endif

#define U32_MAX			UINT32_MAX
#define __uninitialized
#define noinline
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN(x, a)		(((x) + (a) - 1) & ~((a) - 1))
#define IS_ALIGNED(x, a)	(((x) & ((a) - 1)) == 0)

/* The barrier keeps the compiler from reading the image a second time. */
static inline unsigned long copy_mc_to_kernel(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ __volatile__("" ::: "memory");
	return 0;
}

static inline bool daxfs_load_word(u64 *to, const void *from)
{
	return !copy_mc_to_kernel(to, from, sizeof(*to));
}

#endif /* DAXFS_IMAGE_SHIM_H */
