/* SPDX-License-Identifier: Apache-2.0 */
/* What image.h finds in the kernel, for a program. */
#ifndef DAXFS_IMAGE_TYPES_H
#define DAXFS_IMAGE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#ifdef __cplusplus
extern "C"
#endif
/* CRC32C of len bytes behind those whose CRC is crc; 0 for none. */
u32 daxfs_crc32c(u32 crc, const void *data, size_t len);

#endif /* DAXFS_IMAGE_TYPES_H */
