// SPDX-License-Identifier: Apache-2.0
#include "directory_source.hpp"

#include <cerrno>

#include <fcntl.h>

#include <fmt/core.h>

#include "disk_file.hpp"
#include "error.hpp"
#include "open_beneath.hpp"

namespace daxfs {

DirectorySource::DirectorySource(std::string path, PathFilter filter, DirectoryOptions options)
    : path_(std::move(path)), filter_(std::move(filter)), options_(std::move(options))
{
    root_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_)
        throw system_failure(errno, fmt::format("cannot read the source directory {}", printable(path_)));
}

std::unique_ptr<Tree> DirectorySource::scan(const Workers &workers)
{
    return scan_directory(root_.get(), filter_, options_, workers);
}

void DirectorySource::add_to(TreeBuilder &builder, const Workers &workers)
{
    merged_ = scan(workers);
    merged_->finish(workers);
    builder.merge(*merged_);
}

std::unique_ptr<FileContent> DirectorySource::open(const Tree &tree, NodeId node) const
{
    const Tree &own = merged_ ? *merged_ : tree;
    const NodeId id = merged_ ? static_cast<NodeId>(tree.nodes[node].content) : node;
    UniqueFd fd(open_beneath(root_.get(), own.path(id), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    if (!fd)
        throw system_failure(errno, "cannot open " + own.shown_path(id));
    const Node &scanned = own.nodes[id];
    return open_disk_file(std::move(fd), scanned.size, scanned.content,
                          [&own, id] { return own.shown_path(id); });
}

} // namespace daxfs
