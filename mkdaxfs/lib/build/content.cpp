// SPDX-License-Identifier: Apache-2.0
#include "content.hpp"

#include <unordered_map>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "blocks.hpp"
#include "daxfs_format.h"
#include "large_files.hpp"
#include "small_files.hpp"

namespace daxfs {

Content::Content(Tree &tree, const TreeSource &source, const Workers &workers, ContentOptions options)
    : tree_(tree), source_(source), workers_(workers), options_(std::move(options))
{
}

void Content::survey()
{
    find_sparse();
    sort_by_size();
    hash_large();
    add_totals();
}

// Will what is read of these files now still be in memory when they are copied?
bool Content::stays_in_memory(const std::vector<SparseFile> &files) const
{
    std::uint64_t bytes = 0;
    for (const SparseFile &file : files)
        bytes += tree_.nodes[file.node].size;
    const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
    return bytes / static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) < pages / 4;
}

void Content::find_sparse()
{
    std::vector<SparseFile> candidates;
    for (const NodeId id : tree_.by_ino) {
        const Node &node = tree_.nodes[id];
        if (S_ISREG(node.mode) && may_have_holes(node.size))
            candidates.push_back({id, {}});
    }
    std::vector<char> is_sparse(candidates.size());
    ReadAhead ahead;
    ReadAhead *const used = stays_in_memory(candidates) ? &ahead : nullptr;
    workers_.for_each(candidates.size(), [&](std::size_t i) {
        SparseFile &file = candidates[i];
        const auto content = source_.open(tree_, file.node);
        is_sparse[i] = find_extents(*content, tree_.nodes[file.node].size, file.extents, used, workers_.stop);
    });
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (!is_sparse[i])
            continue;
        Node &node = tree_.nodes[candidates[i].node];
        node.count = static_cast<std::uint32_t>(candidates[i].extents.size());
        sparse_.push_back(std::move(candidates[i]));
        node.first = static_cast<std::uint32_t>(sparse_.size());
    }
}

void Content::sort_by_size()
{
    std::vector<bool> is_sorted(options_.first.empty() ? 0 : tree_.nodes.size());
    const auto sort = [&](NodeId id) {
        const Node &node = tree_.nodes[id];
        if (!S_ISREG(node.mode) || node.size == 0)
            return;
        const bool large = node.first != 0 || node.size >= DAXFS_HUGE_SIZE;
        (large ? large_ : small_).push_back(id);
    };
    for (const NodeId id : options_.first) {
        sort(id);
        is_sorted[id] = true;
    }
    for (const NodeId id : tree_.by_ino)
        if (is_sorted.empty() || !is_sorted[id])
            sort(id);
}

// Only where two have the same size can they be equal.
void Content::hash_large()
{
    hashes_.resize(large_.size());
    if (!options_.dedupe)
        return;
    std::unordered_map<std::uint64_t, std::uint32_t> sizes;
    for (const NodeId id : large_)
        ++sizes[tree_.nodes[id].size];
    const LargeFiles files(tree_, source_, workers_, options_, sparse_);
    workers_.for_each(large_.size(), [&](std::size_t i) {
        if (sizes.at(tree_.nodes[large_[i]].size) > 1)
            hashes_[i] = files.hash(large_[i]);
    });
}

void Content::add_totals()
{
    for (const NodeId id : tree_.by_ino) {
        const Node &node = tree_.nodes[id];
        if (!S_ISREG(node.mode))
            continue;
        const std::uint64_t blocks = round_up(node.size, DAXFS_BLOCK_SIZE);
        totals_.file_bytes += node.size;
        std::uint64_t data = blocks;
        if (node.first != 0) {
            data = 0;
            for (const Extent &extent : sparse_[node.first - 1].extents)
                data += extent.len;
        }
        totals_.data_bytes += data;
        totals_.hole_bytes += blocks - data;
    }
}

void Content::write(Output &output, Placer &placer)
{
    if (workers_.progress)
        workers_.progress->total = totals_.data_bytes;
    LargeFiles large(tree_, source_, workers_, options_, sparse_);
    large.place(large_, hashes_, placer, totals_.shared_bytes);
    workers_.add_done(totals_.shared_bytes);
    totals_.sum.add(large.copy(output));
    SmallFiles small(tree_, source_, workers_, options_, small_);
    totals_.shared_bytes += small.write(output, placer, totals_.sum);
}

} // namespace daxfs
