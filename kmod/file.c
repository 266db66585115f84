// SPDX-License-Identifier: GPL-2.0-only
/* Regular files: reads are loads from the region. */
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "daxfs.h"

/* Copy what of the file lies at pos, up to want bytes; short on a fault. */
static ssize_t copy_run(struct daxfs_sb_info *sbi, const struct daxfs_node *node,
			u64 pos, u64 want, struct iov_iter *to,
			struct daxfs_err *err)
{
	struct daxfs_map map;
	int ret;

	ret = daxfs_file_map(&sbi->image, node, pos, &map, err);
	if (unlikely(ret))
		return ret;
	want = min(want, map.len);
	if (unlikely(map.hole))
		return iov_iter_zero(want, to);
	if (unlikely(!READ_ONCE(sbi->region.plain))) {
		want = daxfs_region_good(&sbi->region, map.off, want);
		if (!want)
			return -EIO;
	}
	return _copy_mc_to_iter(sbi->image.base + map.off, want, to);
}

/* Run by run, as long as it goes well: bytes copied, or an error. */
static noinline ssize_t copy_runs(struct inode *inode, u64 pos, u64 left,
				  struct iov_iter *to)
{
	const struct daxfs_node *node = &DAXFS_I(inode)->node;
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	struct daxfs_err err;
	ssize_t done = 0, ret;

	while (left) {
		ret = copy_run(sbi, node, pos, left, to, &err);
		if (unlikely(ret == -EUCLEAN))
			daxfs_report(inode->i_sb, &err);
		if (unlikely(ret <= 0))
			return done ? done : ret;
		done += ret;
		pos += ret;
		left -= ret;
	}
	return done;
}

static ssize_t daxfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	const struct daxfs_node *node = &DAXFS_I(inode)->node;
	ssize_t done = 0;
	u64 pos, left;
	int id;

	id = srcu_read_lock(&daxfs_srcu);
	pos = iocb->ki_pos;
	if (likely(pos < node->size)) {
		left = node->size - pos;
		/* Nearly every file lies in a row, checked when its inode was read. */
		if (likely(node->layout == DAXFS_LAYOUT_FLAT && READ_ONCE(sbi->region.plain)))
			done = _copy_mc_to_iter(sbi->image.base + node->data + pos, left, to);
		else if (READ_ONCE(sbi->region.gone))
			done = -EIO;
		else
			done = copy_runs(inode, pos, min_t(u64, left, iov_iter_count(to)), to);
	}
	srcu_read_unlock(&daxfs_srcu, id);
	if (likely(done > 0))
		iocb->ki_pos += done;
	else if (!done && iov_iter_count(to) && iocb->ki_pos < i_size_read(inode))
		return -EFAULT;
	return done;
}

/* The next byte from pos on that is (or is not) in a hole; the size at the end. */
static loff_t seek_data(struct super_block *sb, const struct daxfs_node *node,
			loff_t pos, bool hole)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(sb);
	struct daxfs_err err;
	struct daxfs_map map;
	int ret, id;

	if (pos < 0 || pos >= node->size)
		return -ENXIO;
	while (pos < node->size) {
		if (!daxfs_enter(sbi, &id))
			return -EIO;
		ret = daxfs_file_map(&sbi->image, node, pos, &map, &err);
		daxfs_exit(sbi, id);
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
	offset = seek_data(inode->i_sb, &DAXFS_I(inode)->node, offset,
			   whence == SEEK_HOLE);
	if (offset < 0)
		return offset;
	return vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
}

const struct file_operations daxfs_file_operations = {
	.llseek			= daxfs_llseek,
	.read_iter		= daxfs_read_iter,
	.splice_read		= copy_splice_read,
	.mmap			= daxfs_file_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
};
