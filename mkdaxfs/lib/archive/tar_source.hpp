// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source.hpp"
#include "tar_reader.hpp"

namespace daxfs {

// What every source of one archive has: its input, and the spool for what its files hold.
class ArchiveSource : public TreeSource {
public:
    // `name` is for messages; `warn` is told what is not kept.
    ArchiveSource(ArchiveInput input, std::string name, PathFilter filter, OnWarning warn = {});

    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

protected:
    ArchiveInput input_;
    std::string name_;
    PathFilter filter_;
    OnWarning warn_;
    Spool spool_;
};

// An archive, read once from its beginning to its end.
class TarSource : public ArchiveSource {
public:
    using ArchiveSource::ArchiveSource;

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
};

// One layer's archive, its whiteouts as overlayfs has them, whatever it will lie over.
class LayerSource : public ArchiveSource {
public:
    using ArchiveSource::ArchiveSource;

    std::unique_ptr<Tree> scan(const Workers &workers) override;
};

} // namespace daxfs
