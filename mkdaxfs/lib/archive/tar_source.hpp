// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source.hpp"
#include "tar_reader.hpp"

namespace daxfs {

// An archive, read once from its beginning to its end.
class TarSource : public TreeSource {
public:
    // `name` is for messages.
    TarSource(ReadBytes read, std::string name, PathFilter filter);

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    ReadBytes read_;
    std::string name_;
    PathFilter filter_;
    Spool spool_;
};

} // namespace daxfs
