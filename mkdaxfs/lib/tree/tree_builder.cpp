// SPDX-License-Identifier: Apache-2.0
#include "tree_builder.hpp"

#include <algorithm>
#include <stdexcept>

#include <sys/stat.h>

#include <xxhash.h>

#include "daxfs_format.h"
#include "tree_paths.hpp"

namespace daxfs {

namespace {

// Can an image hold a symlink that leads there?
bool is_target(std::string_view target)
{
    return !target.empty() && target.size() <= DAXFS_SYMLINK_MAX && target.find('\0') == target.npos;
}

} // namespace

TreeBuilder::TreeBuilder(const TreeBuilder *below) : below_(below), slots_(1024)
{
    Node root;
    root.mode = S_IFDIR | 0755;
    root.first = no_entry;
    tree_->add_node(root);
}

void TreeBuilder::begin_source(std::uint16_t source)
{
    source_ = source;
    begin_layer();
}

void TreeBuilder::begin_layer()
{
    if (layer_ == UINT16_MAX)
        throw std::runtime_error("more than 65535 layers");
    ++layer_;
    cleared_.clear();
    last_valid_ = false;
}

std::uint64_t TreeBuilder::slot_of(NodeId dir, std::string_view name) const
{
    return XXH3_64bits_withSeed(name.data(), name.size(), dir) & (slots_.size() - 1);
}

std::uint32_t TreeBuilder::lookup(NodeId dir, std::string_view name) const
{
    for (std::uint64_t at = slot_of(dir, name); slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
        const Entry &entry = tree_->entries[slots_[at] - 1];
        if (entry.parent == dir && tree_->name(entry) == name)
            return slots_[at] - 1;
    }
    return no_entry;
}

std::optional<NodeId> TreeBuilder::entry_at(NodeId dir, std::string_view name) const
{
    const std::uint32_t entry = lookup(dir, name);
    return entry == no_entry ? std::nullopt : std::optional(tree_->entries[entry].node);
}

void TreeBuilder::index(std::uint32_t entry)
{
    const Entry &added = tree_->entries[entry];
    std::uint64_t at = slot_of(added.parent, tree_->name(added));
    // What is dead gives its place: a path that comes again and again makes no long chain.
    while (slots_[at] != 0 && tree_->entries[slots_[at] - 1].parent != no_entry)
        at = (at + 1) & (slots_.size() - 1);
    used_slots_ += slots_[at] == 0;
    slots_[at] = entry + 1;
}

void TreeBuilder::grow_index()
{
    slots_.assign(slots_.size() * 2, 0);
    used_slots_ = 0;
    for (std::uint32_t i = 0; i < tree_->entries.size(); ++i) {
        if (tree_->entries[i].parent != no_entry)
            index(i);
    }
}

std::uint32_t TreeBuilder::add_entry(NodeId dir, std::string_view name, NodeId node)
{
    tree_->add_entry(dir, name, node);
    const auto entry = static_cast<std::uint32_t>(tree_->entries.size() - 1);
    Node &parent = tree_->nodes[dir];
    next_.push_back(parent.first);
    parent.first = entry;
    layers_.push_back(layer_);
    if (used_slots_ * 10 >= slots_.size() * 7)
        grow_index();
    else
        index(entry);
    return entry;
}

NodeId TreeBuilder::parent_of(NodeId dir) const
{
    const std::uint32_t entry = tree_->nodes[dir].entry;
    return entry == no_entry ? 0 : tree_->entries[entry].parent;
}

void TreeBuilder::kill(std::uint32_t entry)
{
    tree_->entries[entry].parent = no_entry;
    has_dead_ = true;
    last_valid_ = false;
}

void TreeBuilder::clear_below(NodeId dir)
{
    std::vector<NodeId> pending = {dir};
    while (!pending.empty()) {
        const NodeId at = pending.back();
        pending.pop_back();
        // Once in a layer: what comes later is its own.
        if (!cleared_.insert(at).second)
            continue;
        // What is dead leaves the list, which the next layer would walk again.
        for (std::uint32_t *link = &tree_->nodes[at].first; *link != no_entry;) {
            const std::uint32_t i = *link;
            if (tree_->entries[i].parent != no_entry && layers_[i] != layer_)
                kill(i);
            if (tree_->entries[i].parent == no_entry) {
                *link = next_[i];
                continue;
            }
            if (S_ISDIR(tree_->nodes[tree_->entries[i].node].mode))
                pending.push_back(tree_->entries[i].node);
            link = &next_[i];
        }
    }
}

NodeId TreeBuilder::put_at(NodeId dir, std::string_view name, Node node, std::string_view target)
{
    node.source = source_;
    node.entry = no_entry;
    node.first = S_ISDIR(node.mode) ? no_entry : 0;
    const std::uint32_t there = lookup(dir, name);
    if (there != no_entry) {
        const NodeId id = tree_->entries[there].node;
        Node &old = tree_->nodes[id];
        if (S_ISDIR(old.mode) && S_ISDIR(node.mode)) {
            node.entry = old.entry;
            node.first = old.first;
            old = node;
            layers_[there] = layer_;
            implied_.erase(id);
            return id;
        }
        kill(there);
    }
    const NodeId id = add(node, name, target);
    add_entry(dir, name, id);
    return id;
}

NodeId TreeBuilder::add(Node node, std::string_view name, std::string_view target)
{
    if (S_ISLNK(node.mode)) {
        if (!is_target(target))
            throw TreeError("target of " + shown_path(name) +
                            " is not 1 to 4095 bytes long without NUL, an image holds no other");
        node.size = target.size();
        node.data = tree_->add_text(target);
    }
    return tree_->add_node(node);
}

void TreeBuilder::put(std::string_view path, Node node, std::string_view target)
{
    const Place at = place(path, true);
    if (!at.name.empty()) {
        put_at(at.dir, at.name, node, target);
        return;
    }
    if (!S_ISDIR(node.mode))
        throw TreeError("expected a directory as the root, got something else");
    Node &root = tree_->nodes[0];
    node.entry = no_entry;
    node.first = root.first;
    node.source = source_;
    root = node;
    implied_.erase(0);
}

void TreeBuilder::link_at(NodeId dir, std::string_view name, NodeId node)
{
    const std::uint32_t there = lookup(dir, name);
    if (there != no_entry && tree_->entries[there].node == node) {
        layers_[there] = layer_;
        return;
    }
    if (there != no_entry)
        kill(there);
    add_entry(dir, name, node);
}

void TreeBuilder::put_excluded(std::string_view path, Node node, std::string_view target)
{
    if (S_ISDIR(node.mode) || (S_ISLNK(node.mode) && !is_target(target)))
        return;
    node.source = source_;
    excluded_.insert_or_assign(plain_path(path), add(node, path, target));
}

std::optional<NodeId> TreeBuilder::link_excluded(std::string_view path, std::string_view to)
{
    try {
        const std::optional<NodeId> id = link_target(to);
        if (id)
            excluded_.insert_or_assign(plain_path(path), *id);
        return id;
    } catch (const std::runtime_error &) {
        return std::nullopt; // `to` leads nowhere: it was excluded
    }
}

std::optional<NodeId> TreeBuilder::link_target(std::string_view path)
{
    const Place at = place(path, false);
    if (at.dir != no_entry && !at.name.empty()) {
        if (const std::optional<NodeId> id = entry_at(at.dir, at.name))
            return id;
    }
    const auto excluded = excluded_.find(plain_path(path));
    return excluded == excluded_.end() ? std::nullopt : std::optional(excluded->second);
}

NodeId TreeBuilder::link(std::string_view path, std::string_view to)
{
    const std::optional<NodeId> id = link_target(to);
    if (!id)
        throw TreeError("hard link " + shown_path(path) + " to " + shown_path(to) +
                        (below_ ? ": that is not in this layer, make one image of all (without --layers)"
                         : below_is_unknown_ ? ": that is not in this layer, make one image of all (--oci)"
                                             : ": that is not in the tree"));
    if (S_ISDIR(tree_->nodes[*id].mode))
        throw TreeError("hard link " + shown_path(path) + " to the directory " + shown_path(to));
    const Place at = place(path, true);
    if (at.name.empty())
        throw TreeError("expected a directory as the root, got a hard link");
    link_at(at.dir, at.name, *id);
    return *id;
}

Node &TreeBuilder::file(NodeId id)
{
    tree_->nodes[id].source = source_;
    return tree_->nodes[id];
}

void TreeBuilder::add_xattr(NodeId id, const Xattr &xattr)
{
    Node &node = tree_->nodes[id];
    std::vector<Xattr> all;
    if (node.xattrs != 0)
        all = xattrs().decode(node.xattrs);
    all.push_back(xattr);
    node.xattrs = xattrs().intern(std::move(all));
}

void TreeBuilder::merge(const Tree &other)
{
    const auto adopt = [&](NodeId id) {
        const Node &node = other.nodes[id];
        Node own = node;
        own.content = id;
        own.xattrs = node.xattrs == 0 ? 0 : xattrs().intern_bytes(other.xattrs.bytes(node.xattrs));
        own.count = 0;
        own.ino = 0;
        own.nlink = 0;
        return own;
    };
    put("", adopt(0));
    std::vector<NodeId> ids(other.nodes.size(), no_entry);
    ids[0] = 0;
    // Parents come before their children in inode order.
    for (const NodeId dir : other.by_ino) {
        if (!S_ISDIR(other.nodes[dir].mode))
            continue;
        const Node &from = other.nodes[dir];
        for (std::uint32_t i = from.first; i < from.first + from.count; ++i) {
            const Entry &entry = other.entries[i];
            const Node &node = other.nodes[entry.node];
            const std::string_view target = S_ISLNK(node.mode) ? other.target(node) : "";
            if (ids[entry.node] != no_entry)
                link_at(ids[dir], other.name(entry), ids[entry.node]);
            else
                ids[entry.node] = put_at(ids[dir], other.name(entry), adopt(entry.node), target);
        }
    }
}

std::unique_ptr<Tree> TreeBuilder::finish()
{
    if (has_dead_)
        std::erase_if(tree_->entries, [](const Entry &entry) { return entry.parent == no_entry; });
    for (Node &node : tree_->nodes)
        node.first = 0;
    return std::move(tree_);
}

} // namespace daxfs
