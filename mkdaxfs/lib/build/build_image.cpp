// SPDX-License-Identifier: Apache-2.0
#include "build_image.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include <fnmatch.h>
#include <sys/stat.h>

#include <fmt/core.h>

#include "acl.hpp"
#include "blocks.hpp"
#include "content.hpp"
#include "daxfs_format.h"
#include "error.hpp"
#include "file_digests.hpp"
#include "file_type.hpp"
#include "image.h"
#include "linux_limits.hpp"
#include "metadata.hpp"
#include "order.hpp"
#include "output_file.hpp"

namespace daxfs {

namespace {

std::uint32_t shifted(std::uint32_t owner, std::int64_t offset, const char *option,
                      const std::function<std::string()> &path)
{
    constexpr std::int64_t last = no_owner - 1;
    if (offset == 0)
        return owner;
    if (offset < -std::int64_t{owner} || offset > last - std::int64_t{owner})
        throw std::runtime_error(
            fmt::format("expected a number from 0 to {} for {}, got {} + {} ({}): give another offset", last,
                        path(), owner, offset, option));
    return static_cast<std::uint32_t>(owner + offset);
}

void map_owners_and_times(Tree &tree, const BuildOptions &options)
{
    for (const NodeId id : tree.by_ino) {
        Node &node = tree.nodes[id];
        const auto path = [&] { return printable("/" + tree.path(id)); };
        node.uid = options.uid ? *options.uid : shifted(node.uid, options.uid_offset, "--uid-offset", path);
        node.gid = options.gid ? *options.gid : shifted(node.gid, options.gid_offset, "--gid-offset", path);
    }
    for (Node &node : tree.nodes) {
        const bool too_new = options.newest_mtime && node.mtime_sec >= *options.newest_mtime;
        if (options.mtime || too_new) {
            node.mtime_sec = options.mtime ? *options.mtime : *options.newest_mtime;
            node.mtime_nsec = 0;
        }
    }
}

void refuse_xattrs(const Node &node, const std::vector<Xattr> &xattrs, const LinuxComplaint &refuse)
{
    constexpr const char *advice = " (--xattr-exclude leaves it out)";
    check_linux_xattrs(xattrs, [&](const std::string &what) { refuse(what + advice); });
    for (const Xattr &xattr : xattrs) {
        const std::string name = join_xattr_name(xattr.index, xattr.name);
        if (is_acl_index(xattr.index) && !is_acl(xattr.value))
            refuse(fmt::format("expected an ACL as {}, got something else{}", name, advice));
        if (!linux_shows_xattr(node.mode, xattr))
            refuse(
                fmt::format("Linux has no {} on a {}{}", printable(name), file_type_name(node.mode), advice));
    }
}

// What the kernel could not show as it is.
void refuse_what_no_mount_shows(const Tree &tree)
{
    // By the type, too: not every one has all attributes.
    std::set<std::pair<std::uint32_t, unsigned>> good_sets;
    for (const NodeId id : tree.by_ino) {
        const Node &node = tree.nodes[id];
        const LinuxComplaint refuse = [&](const std::string &what) {
            throw std::runtime_error(tree.shown_path(id) + ": " + what);
        };
        const bool is_device = S_ISCHR(node.mode) || S_ISBLK(node.mode);
        check_linux_inode({node.mode, node.uid, node.gid, node.size, is_device ? node.data >> 32 : 0,
                           is_device ? node.data & 0xffffffff : 0, node.mtime_nsec},
                          refuse);
        const std::pair set(node.xattrs, node.mode & S_IFMT);
        if (node.xattrs == 0 || good_sets.contains(set))
            continue;
        refuse_xattrs(node, tree.xattrs.decode(node.xattrs), refuse);
        good_sets.insert(set);
    }
}

void exclude_xattrs(Tree &tree, const BuildOptions &options)
{
    const std::vector<std::string> &globs = options.xattr_exclude;
    if (globs.empty())
        return;
    const std::vector<std::uint32_t> ids = tree.xattrs.edit([&](std::vector<Xattr> &xattrs) {
        std::erase_if(xattrs, [&](const Xattr &xattr) {
            if (options.keep_opaque && is_opaque_mark(xattr))
                return false;
            const std::string name = join_xattr_name(xattr.index, xattr.name);
            return std::any_of(globs.begin(), globs.end(), [&](const std::string &glob) {
                return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
            });
        });
    });
    for (Node &node : tree.nodes)
        node.xattrs = ids[node.xattrs];
}

void label(Tree &tree, const BuildOptions &options)
{
    if (!options.label_of)
        return;
    for (const NodeId id : tree.by_ino) {
        Node &node = tree.nodes[id];
        const std::string context = options.label_of("/" + tree.path(id), node.mode);
        if (context.empty())
            continue;
        std::vector<Xattr> xattrs;
        if (node.xattrs != 0)
            xattrs = tree.xattrs.decode(node.xattrs);
        xattrs.push_back({DAXFS_XATTR_SECURITY, "selinux", context + '\0'});
        node.xattrs = tree.xattrs.intern(std::move(xattrs));
    }
}

// What was not asked for is what the source says.
BuildOptions completed(BuildOptions options, const ImageIdentity &identity)
{
    if (!options.label)
        options.label = identity.label.value_or("");
    if (!is_utf8(*options.label))
        throw std::runtime_error("expected a label in UTF-8, got " + printable(*options.label));
    if (!options.uuid)
        options.uuid = identity.uuid;
    if (!options.digest)
        options.digest = identity.digest.value_or(DigestKind::none);
    if (!options.build_time)
        options.build_time = identity.build_time;
    return options;
}

std::int64_t newest_mtime(const Tree &tree)
{
    std::int64_t newest = std::numeric_limits<std::int64_t>::min();
    for (const NodeId id : tree.by_ino)
        newest = std::max(newest, tree.nodes[id].mtime_sec);
    return newest;
}

// A version 8 UUID from all that the image holds.
Uuid derive_uuid(const daxfs_super &super, const Hash128 &metadata, const Hash128 &content)
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

daxfs_range to_range(const Range &range)
{
    return {range.off, range.len};
}

daxfs_super make_super(const Tree &tree, const MetadataPlan &plan, const Placer &placer,
                       const ContentTotals &totals, const BuildOptions &options)
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
    super.digests = to_range(plan.digests);
    super.data = {placer.begin(), placer.end() - placer.begin()};
    super.data_bytes = totals.data_bytes;
    std::memcpy(super.label, options.label->data(), std::min(options.label->size(), sizeof(super.label)));
    return super;
}

// Returns the root digest; "" without digests.
std::string set_digests(daxfs_super &super, const std::string &table, DigestKind kind)
{
    if (kind == DigestKind::none)
        return "";
    super.compat |= DAXFS_COMPAT_DIGESTS;
    super.digest_kind = static_cast<std::uint8_t>(kind);
    Digester digester(kind);
    digester.update(std::as_bytes(std::span(table)));
    const std::string root = digester.finish();
    std::memcpy(super.root_digest, root.data(), root.size());
    return root;
}

BuildSummary summarize(const Tree &tree, const ContentTotals &totals, const Placer &placer,
                       const daxfs_super &super)
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

BuildSummary build(TreeSource &source, const OpenOutput &open, const BuildOptions &wanted,
                   const Workers &workers)
{
    const std::unique_ptr<Tree> tree = source.scan(workers);
    const BuildOptions options = completed(wanted, source.identity());
    tree->finish(workers);
    map_owners_and_times(*tree, options);
    exclude_xattrs(*tree, options);
    label(*tree, options);
    options.rules.apply(*tree, options.keep_opaque);
    refuse_what_no_mount_shows(*tree);

    FileOrder order = find_files(*tree, options.order);
    const std::uint64_t ordered_files = order.files.size();
    Content content(*tree, source, workers, {options.align, options.dedupe, std::move(order.files)});
    content.survey();
    const MetadataPlan plan = plan_metadata(*tree, content.sparse(), digest_size(*options.digest));

    const std::shared_ptr<Output> opened = open();
    Output &output = *opened;
    Placer placer(round_up(plan.all.off + plan.all.len, DAXFS_BLOCK_SIZE));
    content.write(output, placer);
    placer.for_each_gap([&](std::uint64_t off, std::uint64_t len) { output.zero(off, len); });
    output.zero(plan.all.off + plan.all.len, placer.begin() - plan.all.off - plan.all.len);
    std::string digests;
    if (*options.digest != DigestKind::none)
        digests = file_digests(*tree, content.sparse(), output, *options.digest, workers);
    const MetadataResult metadata = write_metadata(*tree, content.sparse(), plan, digests, output);

    daxfs_super super = make_super(*tree, plan, placer, content.totals(), options);
    super.metadata_crc = metadata.crc;
    const std::string root_digest = set_digests(super, digests, *options.digest);
    const Uuid uuid =
        options.uuid ? *options.uuid : derive_uuid(super, metadata.hash, content.totals().sum.value());
    std::memcpy(super.uuid, uuid.data(), uuid.size());
    std::array<std::byte, DAXFS_SUPER_SIZE> block{};
    std::memcpy(block.data(), &super, sizeof(super));
    super.crc = daxfs_crc32c(0, block.data(), block.size());
    std::memcpy(block.data(), &super, sizeof(super));
    workers.check_stop();
    output.commit(block, super.image_size, options.sync);
    BuildSummary summary = summarize(*tree, content.totals(), placer, super);
    summary.ordered_files = ordered_files;
    summary.unknown_files = order.unknown;
    summary.label = *options.label;
    summary.digest = *options.digest;
    summary.root_digest = root_digest;
    return summary;
}

} // namespace

BuildSummary build_image(TreeSource &source, const OpenOutput &open, const BuildOptions &options,
                         const Workers &workers)
{
    std::shared_ptr<Output> output;
    try {
        return build(
            source, [&] { return output = open(); }, options, workers);
    } catch (const Interrupted &) {
        if (output && output->is_in_place())
            throw Interrupted("there is no image on the target now");
        throw;
    }
}

BuildSummary build_image(TreeSource &source, const std::string &path, const BuildOptions &options,
                         const Workers &workers)
{
    return build_image(
        source, [&] { return std::make_shared<OutputFile>(path); }, options, workers);
}

} // namespace daxfs
