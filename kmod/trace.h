/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: mount, a lookup that finds nothing or fails, and what a fault mapped. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM daxfs

#if !defined(DAXFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DAXFS_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

TRACE_EVENT(daxfs_mount,
	TP_PROTO(const struct super_block *sb, u64 size, u64 inodes),
	TP_ARGS(sb, size, inodes),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, size)
		__field(u64, inodes)
	),
	TP_fast_assign(
		__entry->dev = sb->s_dev;
		__entry->size = size;
		__entry->inodes = inodes;
	),
	TP_printk("dev %d:%d size %llu inodes %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->size,
		  __entry->inodes)
);

TRACE_EVENT(daxfs_lookup_failed,
	TP_PROTO(const struct inode *dir, const struct qstr *name, int error),
	TP_ARGS(dir, name, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, dir)
		__field(int, error)
		__field(unsigned int, len)
		__dynamic_array(char, name, name->len + 1)
	),
	TP_fast_assign(
		__entry->dev = dir->i_sb->s_dev;
		__entry->dir = dir->i_ino;
		__entry->error = error;
		__entry->len = name->len;
		memcpy(__get_dynamic_array(name), name->name, name->len);
		((char *)__get_dynamic_array(name))[name->len] = 0;
	),
	TP_printk("dev %d:%d dir %lu name %.*s error %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->dir,
		  (int)__entry->len, (char *)__get_dynamic_array(name),
		  __entry->error)
);

/* pages: what is mapped from address on, order: of each entry, 0 or 9. */
TRACE_EVENT(daxfs_fault,
	TP_PROTO(const struct inode *inode, unsigned long address,
		 unsigned long pages, unsigned int order),
	TP_ARGS(inode, address, pages, order),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, address)
		__field(unsigned long, pages)
		__field(unsigned int, order)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->address = address;
		__entry->pages = pages;
		__entry->order = order;
	),
	TP_printk("dev %d:%d ino %lu address 0x%lx pages %lu order %u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->address, __entry->pages, __entry->order)
);

#endif /* DAXFS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
