// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "path_filter.hpp"
#include "source.hpp"
#include "spool.hpp"

namespace daxfs {

// A tree written as text: what dump.daxfs --text prints, or a few lines by hand that add
// devices and directories (docs/text.md).
class TextSource : public TreeSource {
public:
    // `name` is for messages; the stream is read once.
    TextSource(std::istream &in, std::string name, PathFilter filter);

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
    ImageIdentity identity() const override { return identity_; }
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    std::istream &in_;
    std::string name_;
    PathFilter filter_;
    Spool spool_;
    ImageIdentity identity_;
};

} // namespace daxfs
