// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "source.hpp"

namespace daxfs {

// Several sources as one: each is put over those before it.
class SourceList : public TreeSource {
public:
    void add(std::unique_ptr<TreeSource> source);

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    ImageIdentity identity() const override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    std::vector<std::unique_ptr<TreeSource>> sources_;
};

} // namespace daxfs
