// SPDX-License-Identifier: GPL-2.0-only
/* Regular files: reads are loads from the region. */
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "daxfs.h"

/* A stay inside the region is no longer than for so many bytes. */
#define COPY_BYTES	SZ_1M

/* Inside the region: copy what of the file lies at pos, up to want bytes. */
static noinline ssize_t daxfs_copy_run(struct inode *inode, u64 pos, u64 want, struct iov_iter *to)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	struct daxfs_err err;
	struct daxfs_map map;
	int ret;

	ret = daxfs_file_map(&sbi->image, &DAXFS_I(inode)->node, pos, &map, &err);
	if (unlikely(ret == -EUCLEAN))
		daxfs_report(inode->i_sb, &err);
	if (unlikely(ret))
		return ret;
	want = min(want, map.len);
	if (map.hole)
		return iov_iter_zero(want, to);
	want = daxfs_region_good(&sbi->region, map.off, want);
	return want ? _copy_mc_to_iter(sbi->image.base + map.off, want, to) : -EIO;
}

/*
 * Copy up to want bytes without waiting for the reader's memory: fewer where it
 * is not there, or where ours fails.
 */
static __always_inline ssize_t daxfs_copy_piece(struct inode *inode, u64 pos, u64 want,
						struct iov_iter *to)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	const struct daxfs_node *node = &DAXFS_I(inode)->node;
	ssize_t ret = -EIO;
	int id;

	id = srcu_read_lock(&sbi->srcu);
	pagefault_disable();
	/*
	 * Nearly every file is contiguous, checked when its inode was read; a
	 * region that is gone is not linear.
	 */
	if (likely(node->layout == DAXFS_LAYOUT_FLAT && READ_ONCE(sbi->region.linear)))
		ret = _copy_mc_to_iter(sbi->image.base + node->data + pos, want, to);
	else if (!READ_ONCE(sbi->region.gone))
		ret = daxfs_copy_run(inode, pos, want, to);
	pagefault_enable();
	srcu_read_unlock(&sbi->srcu, id);
	return ret;
}

/* Can the byte at pos be read at all? */
static bool daxfs_can_read(struct inode *inode, u64 pos)
{
	struct kvec vec = { .iov_len = 1 };
	struct iov_iter to;
	u8 byte;

	vec.iov_base = &byte;
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, 1);
	return daxfs_copy_piece(inode, pos, 1, &to) == 1;
}

/* Outside the region: make what a copy stopped at be there. 0, or why it cannot be. */
static noinline int daxfs_make_room(struct inode *inode, struct kiocb *iocb, u64 pos, u64 want,
				    struct iov_iter *to)
{
	if (!daxfs_can_read(inode, pos))
		return -EIO;
	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	if (fatal_signal_pending(current))
		return -EINTR;
	return fault_in_iov_iter_writeable(to, want) == want ? -EFAULT : 0;
}

static ssize_t daxfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	const u64 start = iocb->ki_pos, size = DAXFS_I(inode)->node.size;
	u64 pos = start, end, want;
	ssize_t ret = 0;

	if (unlikely(start >= size))
		return 0;
	end = start + min_t(u64, size - start, iov_iter_count(to));
	while (pos < end) {
		want = min_t(u64, end - pos, COPY_BYTES);
		ret = daxfs_copy_piece(inode, pos, want, to);
		if (likely(ret == want)) {
			pos += want;
			if (likely(pos == end))
				break;
			cond_resched();
			ret = fatal_signal_pending(current) ? -EINTR : 0;
		} else if (ret >= 0) {
			pos += ret;
			ret = daxfs_make_room(inode, iocb, pos,
					      min_t(u64, end - pos, COPY_BYTES), to);
		}
		if (unlikely(ret))
			break;
	}
	if (likely(pos > start))
		ret = pos - start;
	iocb->ki_pos = pos;
	return ret;
}

/* The next byte from pos on that is (or is not) in a hole; the size at the end. */
static loff_t daxfs_seek_data(struct super_block *sb, const struct daxfs_node *node,
			      loff_t pos, bool hole)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);
	struct daxfs_err err;
	struct daxfs_map map;
	int ret, id;

	if (pos < 0 || pos >= node->size)
		return -ENXIO;
	while (pos < node->size) {
		if (!daxfs_region_read_lock(sbi, &id))
			return -EIO;
		ret = daxfs_file_map(&sbi->image, node, pos, &map, &err);
		daxfs_region_read_unlock(sbi, id);
		if (ret == -EUCLEAN)
			daxfs_report(sb, &err);
		if (ret)
			return ret;
		if (map.hole == hole)
			return pos;
		pos += map.len;
		/* Another kernel may be adding extents. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return hole ? pos : -ENXIO;
}

/**
 * daxfs_llseek - llseek(2), with holes
 * @file: a regular file
 * @offset: by @whence
 * @whence: all of them
 *
 * Return: the new position or an error
 */
loff_t daxfs_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	offset = daxfs_seek_data(inode->i_sb, &DAXFS_I(inode)->node, offset,
				 whence == SEEK_HOLE);
	if (offset < 0)
		return offset;
	return vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
}

/**
 * daxfs_file_open - what readers may ask for
 * @inode: a regular file
 * @file: of it
 *
 * Return: 0 or an error
 */
int daxfs_file_open(struct inode *inode, struct file *file)
{
	/* A read never waits for a device, and is direct always. */
	file->f_mode |= FMODE_NOWAIT | FMODE_CAN_ODIRECT;
	return generic_file_open(inode, file);
}

const struct file_operations daxfs_file_operations = {
	.open			= daxfs_file_open,
	.llseek			= daxfs_llseek,
	.read_iter		= daxfs_read_iter,
	.splice_read		= copy_splice_read,
	.mmap			= daxfs_file_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
	.setlease		= generic_setlease,
};
