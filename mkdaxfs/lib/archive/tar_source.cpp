// SPDX-License-Identifier: Apache-2.0
#include "tar_source.hpp"

namespace daxfs {

TarSource::TarSource(ReadBytes read, std::string name, PathFilter filter)
    : read_(std::move(read)), name_(std::move(name)), filter_(std::move(filter))
{
}

std::unique_ptr<Tree> TarSource::scan(const Workers &workers)
{
    TreeBuilder builder;
    add_to(builder, workers);
    return builder.finish();
}

void TarSource::add_to(TreeBuilder &builder, const Workers &workers)
{
    read_archive(read_, name_, {builder, spool_, filter_, workers});
}

std::unique_ptr<FileContent> TarSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

} // namespace daxfs
