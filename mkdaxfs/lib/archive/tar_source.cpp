// SPDX-License-Identifier: Apache-2.0
#include "tar_source.hpp"

#include "error.hpp"

namespace daxfs {

ArchiveSource::ArchiveSource(ArchiveInput input, std::string name, PathFilter filter, OnWarning warn)
    : input_(std::move(input)), name_(std::move(name)), filter_(std::move(filter)), warn_(std::move(warn))
{
}

std::unique_ptr<FileContent> ArchiveSource::open(const Tree &tree, NodeId node) const
{
    return spool_.open(tree, node);
}

std::unique_ptr<Tree> TarSource::scan(const Workers &workers)
{
    TreeBuilder builder;
    add_to(builder, workers);
    return builder.finish();
}

void TarSource::add_to(TreeBuilder &builder, const Workers &workers)
{
    NotKept not_kept;
    read_archive(input_, name_, {builder, spool_, filter_, workers, Whiteouts::names, false, &not_kept});
    not_kept.tell(named_warning(warn_, name_));
}

std::unique_ptr<Tree> LayerSource::scan(const Workers &workers)
{
    TreeBuilder builder;
    builder.lies_over_unknown();
    NotKept not_kept;
    read_archive(input_, name_, {builder, spool_, filter_, workers, Whiteouts::overlay, false, &not_kept});
    for (const std::string &path : builder.undescribed())
        not_kept.add(NotKept::parent, "/" + printable(path));
    not_kept.tell(named_warning(warn_, name_));
    return builder.finish();
}

} // namespace daxfs
