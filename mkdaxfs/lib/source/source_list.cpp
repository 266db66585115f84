// SPDX-License-Identifier: Apache-2.0
#include "source_list.hpp"

#include <stdexcept>

namespace daxfs {

void SourceList::add(std::unique_ptr<TreeSource> source)
{
    if (sources_.size() == UINT16_MAX)
        throw std::runtime_error("more than 65535 sources");
    sources_.push_back(std::move(source));
}

std::unique_ptr<Tree> SourceList::scan(const Workers &workers)
{
    if (sources_.size() == 1) // nothing to merge: the source may know a faster way
        return sources_.front()->scan(workers);
    TreeBuilder builder;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
        builder.begin_source(static_cast<std::uint16_t>(i));
        sources_[i]->add_to(builder, workers);
    }
    return builder.finish();
}

ImageIdentity SourceList::identity() const
{
    ImageIdentity all;
    for (const auto &source : sources_) {
        const ImageIdentity one = source->identity();
        all.label = one.label ? one.label : all.label;
        all.uuid = one.uuid ? one.uuid : all.uuid;
        all.digest = one.digest ? one.digest : all.digest;
        all.build_time = one.build_time ? one.build_time : all.build_time;
    }
    return all;
}

std::unique_ptr<FileContent> SourceList::open(const Tree &tree, NodeId node) const
{
    return sources_[tree.nodes[node].source]->open(tree, node);
}

} // namespace daxfs
