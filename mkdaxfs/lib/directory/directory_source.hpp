// SPDX-License-Identifier: Apache-2.0
// A tree source that reads a directory of the machine it runs on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "directory_scanner.hpp"
#include "path_filter.hpp"
#include "source.hpp"
#include "unique_fd.hpp"

namespace daxfs {

class DirectorySource : public TreeSource {
public:
    // An excluded directory is left out with all that is in it. Throws when path is not a directory that can
    // be read.
    DirectorySource(std::string path, PathFilter filter, DirectoryOptions options = {});

    std::unique_ptr<Tree> scan(const Workers &workers) override;
    void add_to(TreeBuilder &builder, const Workers &workers) override;
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const override;

private:
    std::string path_;
    PathFilter filter_;
    DirectoryOptions options_;
    UniqueFd root_;
    // As it was scanned, when it was merged with others: there a file may have other names.
    std::unique_ptr<Tree> merged_;
};

} // namespace daxfs
