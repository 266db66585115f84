// SPDX-License-Identifier: GPL-2.0-only
/* Extended attributes, read from the image at every call. */
#include <linux/xattr.h>

#include "daxfs.h"

/* Copy a value, or tell its size. */
static int copy_value(const struct daxfs_image *image,
		      const struct daxfs_xattr_entry *entry, void *buffer,
		      size_t size)
{
	int ret;

	if (!buffer)
		return entry->value_len;
	if (entry->value_len > size)
		return -ERANGE;
	ret = daxfs_image_copy(image, entry->value, buffer, entry->value_len);
	return ret ? ret : entry->value_len;
}

static int find_xattr(const struct daxfs_image *image,
		      const struct daxfs_node *node, u8 index, const char *name,
		      void *buffer, size_t size, struct daxfs_err *err)
{
	struct daxfs_xattr_pos pos = {};
	struct daxfs_xattr_entry entry;
	int ret;

	while ((ret = daxfs_xattr_next(image, node, &pos, &entry, err)) > 0) {
		if (entry.index == index && !strcmp(entry.name, name))
			return copy_value(image, &entry, buffer, size);
	}
	return ret ? ret : -ENODATA;
}

static int daxfs_xattr_get(const struct xattr_handler *handler,
			   struct dentry *dentry, struct inode *inode,
			   const char *name, void *buffer, size_t size)
{
	struct daxfs_sb_info *sbi = DAXFS_SB(inode->i_sb);
	struct daxfs_err err;
	int ret, id;

	if (!daxfs_enter(sbi, &id))
		return -EIO;
	ret = find_xattr(&sbi->image, &DAXFS_I(inode)->node, handler->flags, name,
			 buffer, size, &err);
	daxfs_exit(sbi, id);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	return ret;
}

static bool list_trusted(struct dentry *dentry)
{
	return capable(CAP_SYS_ADMIN);
}

static const struct xattr_handler daxfs_user_handler = {
	.prefix	= XATTR_USER_PREFIX,
	.flags	= DAXFS_XATTR_USER,
	.get	= daxfs_xattr_get,
};

static const struct xattr_handler daxfs_trusted_handler = {
	.prefix	= XATTR_TRUSTED_PREFIX,
	.flags	= DAXFS_XATTR_TRUSTED,
	.list	= list_trusted,
	.get	= daxfs_xattr_get,
};

static const struct xattr_handler daxfs_security_handler = {
	.prefix	= XATTR_SECURITY_PREFIX,
	.flags	= DAXFS_XATTR_SECURITY,
	.get	= daxfs_xattr_get,
};

daxfs_xattr_table daxfs_xattr_handlers[] = {
	&daxfs_user_handler,
	&daxfs_trusted_handler,
	&daxfs_security_handler,
	NULL
};

/* Handlers by DAXFS_XATTR_*; NULL for what is not listed. */
static const struct xattr_handler *handler_of(u8 index)
{
	static const struct xattr_handler *const handlers[] = {
		[DAXFS_XATTR_USER]	= &daxfs_user_handler,
		[DAXFS_XATTR_TRUSTED]	= &daxfs_trusted_handler,
		[DAXFS_XATTR_SECURITY]	= &daxfs_security_handler,
	};

	return index < ARRAY_SIZE(handlers) ? handlers[index] : NULL;
}

/* Append "prefix" "name" NUL to the list, or only count its bytes. */
static int list_one(const struct xattr_handler *handler,
		    const struct daxfs_xattr_entry *entry, char **buffer,
		    size_t *left)
{
	size_t prefix = strlen(handler->prefix);
	size_t bytes = prefix + entry->name_len + 1;

	if (!*buffer)
		return bytes;
	if (bytes > *left)
		return -ERANGE;
	memcpy(*buffer, handler->prefix, prefix);
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
	const struct daxfs_node *node = &DAXFS_I(inode)->node;
	struct daxfs_xattr_pos pos = {};
	struct daxfs_xattr_entry entry;
	struct daxfs_err err;
	ssize_t total = 0;
	int ret, id;

	if (!daxfs_enter(sbi, &id))
		return -EIO;
	while ((ret = daxfs_xattr_next(&sbi->image, node, &pos, &entry, &err)) > 0) {
		const struct xattr_handler *handler = handler_of(entry.index);

		if (!handler || (handler->list && !handler->list(dentry)))
			continue;
		ret = list_one(handler, &entry, &buffer, &size);
		if (ret < 0)
			break;
		total += ret;
	}
	daxfs_exit(sbi, id);
	if (ret == -EUCLEAN)
		daxfs_report(inode->i_sb, &err);
	return ret < 0 ? ret : total;
}
