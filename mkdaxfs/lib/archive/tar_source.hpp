// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source.hpp"
#include "tar_reader.hpp"

namespace daxfs {

// An archive, read once from its beginning to its end.
class TarSource : public TreeSource {
public:
    // `name` is for messages; `warn` is told what is not kept.
    TarSource(ArchiveInput input, std::string name, PathFilter filter, OnWarning warn = {});

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    ArchiveInput input_;
    std::string name_;
    PathFilter filter_;
    OnWarning warn_;
    Spool spool_;
};

// One layer's archive, its whiteouts as overlayfs has them, whatever it will lie over.
class LayerSource : public TreeSource {
public:
    LayerSource(ArchiveInput input, std::string name, PathFilter filter, OnWarning warn = {});

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    ArchiveInput input_;
    std::string name_;
    PathFilter filter_;
    OnWarning warn_;
    Spool spool_;
};

} // namespace daxfs
