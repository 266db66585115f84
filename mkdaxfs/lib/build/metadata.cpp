// SPDX-License-Identifier: Apache-2.0
#include "metadata.hpp"

#include <stdexcept>

#include <sys/stat.h>

#include "blocks.hpp"
#include "directory_record.hpp"
#include "metadata_stream.hpp"

namespace daxfs {

namespace {

// Lays ranges one after the other.
class Cursor {
public:
    explicit Cursor(std::uint64_t at) : at_(at) {}
    std::uint64_t take(std::uint64_t len, std::uint64_t align)
    {
        at_ = round_up(at_, align);
        at_ += len;
        return at_ - len;
    }
    Range close(std::uint64_t begin) const { return {begin, at_ - begin}; }
    std::uint64_t at() const { return at_; }

private:
    std::uint64_t at_;
};

Range plan_dirs(Tree &tree, Cursor &cursor)
{
    const std::uint64_t begin = cursor.take(0, 8);
    for (const NodeId id : tree.by_ino) {
        Node &node = tree.nodes[id];
        if (!S_ISDIR(node.mode))
            continue;
        node.size = directory_record_size(tree, node);
        if (node.size > UINT32_MAX)
            throw std::runtime_error("directory with names of more than 4 GiB: " + tree.shown_path(id));
        node.data = cursor.take(node.size, 8);
    }
    return cursor.close(begin);
}

Range plan_extents(Tree &tree, const std::vector<SparseFile> &sparse, Cursor &cursor)
{
    const std::uint64_t begin = cursor.take(0, 8);
    for (const SparseFile &file : sparse)
        tree.nodes[file.node].data =
            cursor.take(sizeof(daxfs_extent_list) + file.extents.size() * sizeof(daxfs_extent), 8);
    return cursor.close(begin);
}

Range plan_symlinks(const Tree &tree, Cursor &cursor)
{
    const std::uint64_t begin = cursor.at();
    for (const NodeId id : tree.by_ino) {
        if (S_ISLNK(tree.nodes[id].mode))
            cursor.take(tree.nodes[id].size, 1);
    }
    return cursor.close(begin);
}

// In the order of first use, which does not depend on the order of reading.
Range plan_xattrs(const Tree &tree, Cursor &cursor, std::vector<std::uint64_t> &offsets)
{
    constexpr std::uint64_t unplaced = UINT64_MAX;
    offsets.assign(tree.xattrs.count(), unplaced);
    const std::uint64_t begin = cursor.take(0, 8);
    for (const NodeId id : tree.by_ino) {
        const std::uint32_t set = tree.nodes[id].xattrs;
        if (set != 0 && offsets[set - 1] == unplaced)
            offsets[set - 1] = cursor.take(tree.xattrs.bytes(set).size(), 8) - begin;
    }
    const Range range = cursor.close(begin);
    if (range.len / 8 >= UINT32_MAX)
        throw std::runtime_error("more than 32 GiB of extended attributes, an image holds no more");
    return range;
}

daxfs_inode encode_inode(const Tree &tree, const MetadataPlan &plan, const Node &node,
                         std::uint64_t &symlink_at)
{
    daxfs_inode raw = {};
    raw.mode = static_cast<std::uint16_t>(node.mode);
    raw.nlink = node.nlink;
    raw.uid = node.uid;
    raw.gid = node.gid;
    raw.size = node.size;
    raw.mtime_sec = static_cast<std::uint64_t>(node.mtime_sec);
    raw.mtime_nsec = node.mtime_nsec;
    raw.data = node.data;
    if (node.xattrs != 0)
        raw.xattr = static_cast<std::uint32_t>(plan.xattr_offsets[node.xattrs - 1] / 8 + 1);
    if (S_ISDIR(node.mode)) {
        raw.count = node.count;
        raw.parent =
            node.entry == no_entry ? DAXFS_ROOT_INO : tree.nodes[tree.entries[node.entry].parent].ino;
    } else if (S_ISREG(node.mode) && node.first != 0) {
        raw.flags = DAXFS_LAYOUT_EXTENTS;
        raw.count = node.count;
    } else if (S_ISLNK(node.mode)) {
        raw.data = symlink_at;
        symlink_at += node.size;
    }
    return raw;
}

void write_inodes(const Tree &tree, const MetadataPlan &plan, MetadataStream &stream)
{
    std::uint64_t symlink_at = plan.symlinks.off;
    for (const NodeId id : tree.by_ino)
        stream.put_raw(encode_inode(tree, plan, tree.nodes[id], symlink_at));
}

void write_dirs(const Tree &tree, MetadataStream &stream)
{
    for (const NodeId id : tree.by_ino) {
        const Node &node = tree.nodes[id];
        if (!S_ISDIR(node.mode))
            continue;
        stream.pad_to(node.data);
        stream.put(directory_record(tree, node));
    }
}

void write_extents(const Tree &tree, const std::vector<SparseFile> &sparse, MetadataStream &stream)
{
    for (const SparseFile &file : sparse) {
        daxfs_extent_list list = {};
        for (const Extent &extent : file.extents)
            list.blocks += extent.len / DAXFS_BLOCK_SIZE;
        stream.pad_to(tree.nodes[file.node].data);
        stream.put_raw(list);
        for (const Extent &extent : file.extents)
            stream.put_raw(daxfs_extent{extent.file_off, extent.off, extent.len});
    }
}

void write_symlinks(const Tree &tree, MetadataStream &stream)
{
    for (const NodeId id : tree.by_ino) {
        if (S_ISLNK(tree.nodes[id].mode))
            stream.put(tree.target(tree.nodes[id]));
    }
}

void write_xattrs(const Tree &tree, const MetadataPlan &plan, MetadataStream &stream)
{
    for (const NodeId id : tree.by_ino) {
        const std::uint32_t set = tree.nodes[id].xattrs;
        if (set == 0 || plan.xattrs.off + plan.xattr_offsets[set - 1] < stream.at())
            continue;
        stream.pad_to(plan.xattrs.off + plan.xattr_offsets[set - 1]);
        stream.put(tree.xattrs.bytes(set));
    }
}

} // namespace

MetadataPlan plan_metadata(Tree &tree, const std::vector<SparseFile> &sparse, std::size_t digest_size)
{
    MetadataPlan plan;
    Cursor cursor(DAXFS_SUPER_SIZE);
    plan.inodes.off = cursor.at();
    plan.inodes.len = tree.by_ino.size() * sizeof(daxfs_inode);
    cursor.take(plan.inodes.len, 64);
    plan.dirs = plan_dirs(tree, cursor);
    plan.extents = plan_extents(tree, sparse, cursor);
    plan.symlinks = plan_symlinks(tree, cursor);
    plan.xattrs = plan_xattrs(tree, cursor, plan.xattr_offsets);
    const std::uint64_t digests = tree.by_ino.size() * digest_size;
    if (digests != 0)
        plan.digests = {cursor.take(digests, 8), digests};
    plan.all = cursor.close(DAXFS_SUPER_SIZE);
    return plan;
}

MetadataResult write_metadata(const Tree &tree, const std::vector<SparseFile> &sparse,
                              const MetadataPlan &plan, std::string_view digests, Output &output)
{
    MetadataStream stream(output, DAXFS_SUPER_SIZE);
    write_inodes(tree, plan, stream);
    write_dirs(tree, stream);
    write_extents(tree, sparse, stream);
    stream.pad_to(plan.symlinks.off);
    write_symlinks(tree, stream);
    write_xattrs(tree, plan, stream);
    if (plan.digests.len != 0) {
        stream.pad_to(plan.digests.off);
        stream.put(digests);
    }
    stream.pad_to(plan.all.off + plan.all.len);
    return stream.finish();
}

} // namespace daxfs
