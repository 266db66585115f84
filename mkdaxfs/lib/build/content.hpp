// SPDX-License-Identifier: Apache-2.0
// File data: what is stored, where, and the copying of it.
#pragma once

#include <cstdint>
#include <vector>

#include "content_hash.hpp"
#include "content_options.hpp"
#include "output.hpp"
#include "placer.hpp"
#include "source.hpp"
#include "sparse.hpp"

namespace daxfs {

struct ContentTotals {
    std::uint64_t file_bytes = 0;   // Σ of the sizes of all regular files
    std::uint64_t data_bytes = 0;   // Σ of their blocks with data behind them
    std::uint64_t shared_bytes = 0; // what storing equal files once saved
    std::uint64_t hole_bytes = 0;   // what holes saved
    ContentSum sum;                 // of all stored bytes and where they lie
};

class Content {
public:
    Content(Tree &tree, const TreeSource &source, const Workers &workers, ContentOptions options);

    // Find the files with holes and hash large files that may be equal. After it the
    // size of every extent list is known, so the metadata can be planned.
    void survey();
    // Place and copy the data of all files; sets Node::data of flat files and
    // Extent::off of the others. Files of 2 MiB and more and those with holes go
    // first, the small ones fill the gaps that alignment left, then follow.
    void write(Output &output, Placer &placer);

    const std::vector<SparseFile> &sparse() const { return sparse_; }
    const ContentTotals &totals() const { return totals_; }

private:
    bool stays_in_memory(const std::vector<SparseFile> &files) const;
    void find_sparse();
    void sort_by_size();
    void hash_large();
    void add_totals();

    Tree &tree_;
    const TreeSource &source_;
    const Workers &workers_;
    ContentOptions options_;
    std::vector<SparseFile> sparse_; // in inode order
    // The files of options_.first, then the others in inode order:
    std::vector<NodeId> large_;   // ≥ 2 MiB or sparse
    std::vector<NodeId> small_;   // the others but empty ones
    std::vector<Hash128> hashes_; // of large_, where two have equal sizes
    ContentTotals totals_;
};

} // namespace daxfs
