// SPDX-License-Identifier: GPL-2.0-only
/* Extended attributes and ACLs, read from the image at every call. */
#include <linux/fs.h>
#include <linux/posix_acl_xattr.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "daxfs.h"

/* Copy a value, or tell its size. */
static int daxfs_copy_value(const struct daxfs_image *image,
			    const struct daxfs_xattr_entry *entry, void *buffer,
			    size_t size)
{
	if (!buffer)
		return entry->value_len;
	if (entry->value_len > size)
		return -ERANGE;
	return daxfs_image_copy(image, entry->value, buffer, entry->value_len) ?:
	       entry->value_len;
}

/* A walk over a long set gives way to others, and ends with its task. */
static int daxfs_next_xattr(struct inode *inode, struct daxfs_xattr_pos *pos,
			    struct daxfs_xattr_entry *entry, struct daxfs_err *err)
{
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	return daxfs_xattr_next(&DAXFS_SB(inode->i_sb)->image, &DAXFS_I(inode)->node,
				pos, entry, err);
}

static int daxfs_find_xattr(struct inode *inode, u8 index, const char *name,
			    void *buffer, size_t size, struct daxfs_err *err)
{
	struct daxfs_xattr_pos pos = {};
	struct daxfs_xattr_entry entry;
	int ret;

	while ((ret = daxfs_next_xattr(inode, &pos, &entry, err)) > 0) {
		if (entry.index == index && !strcmp(entry.name, name))
			return daxfs_copy_value(&DAXFS_SB(inode->i_sb)->image, &entry,
						buffer, size);
	}
	return ret ? ret : -ENODATA;
}

/* One attribute's value, or its size; what breaks the format is reported. */
static int daxfs_get_xattr(struct inode *inode, u8 index, const char *name,
			   void *buffer, size_t size)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	struct daxfs_err err;
	int ret, id;

	if (!daxfs_region_read_lock(sbi, &id))
		return -EIO;
	ret = daxfs_find_xattr(inode, index, name, buffer, size, &err);
	daxfs_region_read_unlock(sbi, id);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	return ret;
}

static int daxfs_xattr_get(const struct xattr_handler *handler,
			   struct dentry *dentry, struct inode *inode,
			   const char *name, void *buffer, size_t size)
{
	return daxfs_get_xattr(inode, handler->flags, name, buffer, size);
}

/* From what getxattr(2) gives, which is freed, to an ACL that is one. */
static struct posix_acl *daxfs_decode_acl(struct inode *inode, void *value, int size)
{
	struct daxfs_err err = {
		.ino = inode->i_ino, .field = "xattr.acl", .value = size,
	};
	struct posix_acl *acl = posix_acl_from_xattr(&init_user_ns, value, size);

	kvfree(value);
	if (!acl || acl == ERR_PTR(-ENOMEM))
		return acl;
	if (!IS_ERR(acl)) {
		if (!posix_acl_valid(&init_user_ns, acl))
			return acl;
		posix_acl_release(acl);
	}
	daxfs_report(inode->i_sb, &err);
	return ERR_PTR(-EUCLEAN);
}

/**
 * daxfs_get_acl - an inode's POSIX ACL
 * @inode: of any type but symlink
 * @type: ACL_TYPE_*
 * @rcu: the caller must not sleep
 *
 * Return: the ACL, which the core caches, NULL for none, or an ERR_PTR.
 */
struct posix_acl *daxfs_get_acl(struct inode *inode, int type, bool rcu)
{
	u8 index = type == ACL_TYPE_ACCESS ? DAXFS_XATTR_ACL_ACCESS :
					     DAXFS_XATTR_ACL_DEFAULT;
	void *value;
	int size;

	if (rcu)
		return ERR_PTR(-ECHILD);
	size = daxfs_get_xattr(inode, index, "", NULL, 0);
	if (size < 0)
		return size == -ENODATA ? NULL : ERR_PTR(size);
	value = kvmalloc(max(size, 1), GFP_KERNEL);
	if (!value)
		return ERR_PTR(-ENOMEM);
	size = daxfs_get_xattr(inode, index, "", value, size);
	if (size >= 0)
		return daxfs_decode_acl(inode, value, size);
	kvfree(value);
	return ERR_PTR(size);
}

#define DAXFS_XATTR_HANDLER(start, index) \
	(&(const struct xattr_handler) { .prefix = start, .flags = index, .get = daxfs_xattr_get })

daxfs_xattr_table daxfs_xattr_handlers[] = {
	DAXFS_XATTR_HANDLER(XATTR_USER_PREFIX, DAXFS_XATTR_USER),
	DAXFS_XATTR_HANDLER(XATTR_TRUSTED_PREFIX, DAXFS_XATTR_TRUSTED),
	DAXFS_XATTR_HANDLER(XATTR_SECURITY_PREFIX, DAXFS_XATTR_SECURITY),
	DAXFS_ACL_HANDLERS
	NULL
};

/* What stands before the stored name, by DAXFS_XATTR_*. */
static const char *const prefixes[] = {
	[DAXFS_XATTR_USER]		= XATTR_USER_PREFIX,
	[DAXFS_XATTR_TRUSTED]		= XATTR_TRUSTED_PREFIX,
	[DAXFS_XATTR_SECURITY]		= XATTR_SECURITY_PREFIX,
	[DAXFS_XATTR_ACL_ACCESS]	= XATTR_NAME_POSIX_ACL_ACCESS,
	[DAXFS_XATTR_ACL_DEFAULT]	= XATTR_NAME_POSIX_ACL_DEFAULT,
};

/* Append prefix, name and NUL to the list, or only count their bytes. */
static int daxfs_list_one(const struct daxfs_xattr_entry *entry, char **buffer,
			  size_t *left)
{
	size_t prefix = strlen(prefixes[entry->index]);
	size_t bytes = prefix + entry->name_len + 1;

	if (!*buffer)
		return bytes;
	if (bytes > *left)
		return -ERANGE;
	memcpy(*buffer, prefixes[entry->index], prefix);
	memcpy(*buffer + prefix, entry->name, entry->name_len + 1);
	*buffer += bytes;
	*left -= bytes;
	return bytes;
}

/**
 * daxfs_listxattr - names of an inode's extended attributes
 * @dentry: of the inode
 * @buffer: for the names, each with a NUL, or NULL
 * @size: of the buffer
 *
 * Return: bytes, -ERANGE, or what reading the image gave.
 */
ssize_t daxfs_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct inode *inode = d_inode(dentry);
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	struct daxfs_xattr_pos pos = {};
	struct daxfs_xattr_entry entry;
	struct daxfs_err err;
	ssize_t total = 0;
	int ret, id;

	if (!daxfs_region_read_lock(sbi, &id))
		return -EIO;
	while ((ret = daxfs_next_xattr(inode, &pos, &entry, &err)) > 0) {
		if (entry.index == DAXFS_XATTR_TRUSTED && !capable(CAP_SYS_ADMIN))
			continue;
		ret = daxfs_list_one(&entry, &buffer, &size);
		if (ret < 0)
			break;
		total += ret;
	}
	daxfs_region_read_unlock(sbi, id);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	return ret < 0 ? ret : total;
}
