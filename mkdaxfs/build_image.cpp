// SPDX-License-Identifier: Apache-2.0
#include "build_image.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "content.hpp"
#include "daxfs_format.h"
#include "image.h"
#include "metadata.hpp"
#include "output_file.hpp"

namespace daxfs {

namespace {

void map_owners_and_times(Tree& tree, const BuildOptions& options)
{
    for (Node& node : tree.nodes) {
        node.uid = options.uid.value_or(node.uid);
        node.gid = options.gid.value_or(node.gid);
        if (options.mtime) {
            node.mtime_sec = *options.mtime;
            node.mtime_nsec = 0;
        }
    }
}

std::int64_t newest_mtime(const Tree& tree)
{
    std::int64_t newest = std::numeric_limits<std::int64_t>::min();
    for (const Node& node : tree.nodes)
        newest = std::max(newest, node.mtime_sec);
    return newest;
}

// A version 8 UUID from all that the image holds.
Uuid derive_uuid(const daxfs_super& super, const Hash128& metadata, const Hash128& content)
{
    struct {
        Hash128 super;
        Hash128 metadata;
        Hash128 content;
    } const parts = {hash_bytes(std::as_bytes(std::span(&super, 1))), metadata, content};
    const Hash128 hash = hash_bytes(std::as_bytes(std::span(&parts, 1)));
    Uuid uuid;
    std::memcpy(uuid.data(), &hash, uuid.size());
    uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x80);
    uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
    return uuid;
}

daxfs_range to_range(const Range& range)
{
    return {range.off, range.len};
}

daxfs_super make_super(const Tree& tree, const MetadataPlan& plan, const Placer& placer,
                       const ContentTotals& totals, const BuildOptions& options)
{
    daxfs_super super = {};
    super.magic = DAXFS_SB_MAGIC;
    super.version = DAXFS_VERSION;
    super.compat = totals.shared_bytes != 0 ? DAXFS_COMPAT_SHARED_DATA : 0;
    super.incompat = plan.extents.len != 0 ? DAXFS_INCOMPAT_EXTENTS : 0;
    super.block_shift = DAXFS_BLOCK_SHIFT;
    super.huge_shift = DAXFS_HUGE_SHIFT;
    super.image_size = placer.end();
    super.inode_count = tree.by_ino.size();
    super.root_ino = DAXFS_ROOT_INO;
    super.build_sec = static_cast<std::uint64_t>(options.build_time.value_or(newest_mtime(tree)));
    super.metadata = to_range(plan.all);
    super.inodes = to_range(plan.inodes);
    super.dirs = to_range(plan.dirs);
    super.extents = to_range(plan.extents);
    super.symlinks = to_range(plan.symlinks);
    super.xattrs = to_range(plan.xattrs);
    super.data = {placer.begin(), placer.end() - placer.begin()};
    super.data_bytes = totals.data_bytes;
    std::memcpy(super.label, options.label.data(), std::min(options.label.size(), sizeof(super.label)));
    return super;
}

BuildSummary summarize(const Tree& tree, const ContentTotals& totals, const Placer& placer,
                       const daxfs_super& super)
{
    BuildSummary summary;
    summary.inodes = tree.by_ino.size();
    for (const NodeId id : tree.by_ino) {
        const std::uint32_t mode = tree.nodes[id].mode;
        summary.files += S_ISREG(mode);
        summary.directories += S_ISDIR(mode);
        summary.symlinks += S_ISLNK(mode);
    }
    summary.image_bytes = super.image_size;
    summary.metadata_bytes = super.metadata.len;
    summary.file_bytes = totals.file_bytes;
    summary.data_bytes = totals.data_bytes;
    summary.shared_bytes = totals.shared_bytes;
    summary.hole_bytes = totals.hole_bytes;
    summary.padding_bytes = placer.unused();
    std::memcpy(summary.uuid.data(), super.uuid, sizeof(super.uuid));
    return summary;
}

}  // namespace

BuildSummary build_image(TreeSource& source, const std::string& path, const BuildOptions& options,
                         const Workers& workers)
{
    const std::unique_ptr<Tree> tree = source.scan(workers);
    tree->finish(workers);
    map_owners_and_times(*tree, options);

    Content content(*tree, source, workers, {options.align, options.dedupe});
    content.survey();
    const MetadataPlan plan = plan_metadata(*tree, content.sparse());

    OutputFile output(path);
    Placer placer(round_up(plan.all.off + plan.all.len, DAXFS_BLOCK_SIZE));
    content.write(output, placer);
    const MetadataResult metadata = write_metadata(*tree, content.sparse(), plan, output);

    daxfs_super super = make_super(*tree, plan, placer, content.totals(), options);
    super.metadata_crc = metadata.crc;
    const Uuid uuid = options.uuid ? *options.uuid
                                   : derive_uuid(super, metadata.hash, content.totals().sum.value());
    std::memcpy(super.uuid, uuid.data(), uuid.size());
    std::array<std::byte, DAXFS_SUPER_SIZE> block{};
    std::memcpy(block.data(), &super, sizeof(super));
    super.crc = daxfs_crc32c(0, block.data(), block.size());
    std::memcpy(block.data(), &super, sizeof(super));
    output.write(0, block);
    workers.check_stop();
    output.commit(super.image_size);
    return summarize(*tree, content.totals(), placer, super);
}

}  // namespace daxfs
