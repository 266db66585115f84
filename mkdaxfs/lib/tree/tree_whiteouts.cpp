// SPDX-License-Identifier: Apache-2.0
// TreeBuilder: what a layer hides of those below it.
#include <algorithm>

#include <sys/stat.h>

#include "daxfs_format.h"
#include "tree_builder.hpp"
#include "tree_paths.hpp"

namespace daxfs {

namespace {

const Xattr opaque = {DAXFS_XATTR_TRUSTED, "overlay.opaque", "y"};

} // namespace

bool is_opaque_mark(const Xattr &xattr)
{
    return xattr.index == opaque.index && xattr.name == opaque.name;
}

bool escape_overlay(Xattr &xattr)
{
    constexpr std::string_view own = "overlay.";
    if (xattr.index != DAXFS_XATTR_TRUSTED || !xattr.name.starts_with(own))
        return false;
    xattr.name.insert(0, own);
    return true;
}

void TreeBuilder::mark_parent(std::string_view path, const Xattr &xattr)
{
    const Place at = place(path, false);
    if (at.dir == no_entry)
        return;
    const std::uint32_t known = tree_->nodes[at.dir].xattrs;
    const std::vector<Xattr> all = known == 0 ? std::vector<Xattr>() : tree_->xattrs.decode(known);
    if (std::none_of(all.begin(), all.end(),
                     [&](const Xattr &one) { return one.index == xattr.index && one.name == xattr.name; }))
        add_xattr(at.dir, xattr);
}

std::vector<std::string> TreeBuilder::undescribed() const
{
    std::vector<std::string> paths;
    for (const NodeId id : implied_) {
        if (id != 0)
            paths.push_back(tree_->path(id));
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

bool TreeBuilder::leads_through_a_file(std::string_view path)
{
    const std::size_t slash = path.rfind('/');
    Reached reached;
    if (slash != path.npos)
        walk(path.substr(0, slash), false, &reached);
    return reached.is_no_directory;
}

void TreeBuilder::hide(std::vector<std::string> paths, std::vector<std::string> directories)
{
    // What is below something hidden needs no mark of its own.
    for (auto *list : {&paths, &directories}) {
        std::transform(list->begin(), list->end(), list->begin(), plain_path);
        std::sort(list->begin(), list->end());
    }
    const auto is_below_one = [&](const std::string &path) {
        for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
            if (std::binary_search(paths.begin(), paths.end(), path.substr(0, slash)))
                return true;
        }
        return std::binary_search(paths.begin(), paths.end(), path);
    };
    for (const std::string &directory : directories) {
        if (find(directory) || (shows_through(directory) && !is_below_one(directory)))
            hide_below(directory);
    }
    for (const std::string &path : paths)
        hide(path);
}

void TreeBuilder::hide(const std::string &path)
{
    if (leads_through_a_file(path))
        return;
    const auto there = find(path);
    if (there && S_ISDIR(tree_->nodes[*there].mode)) {
        implied_.erase(*there); // it is not the lower layers' directory
        return hide_below(path);
    }
    const std::size_t slash = path.rfind('/');
    if (there || !shows_through(slash == path.npos ? "" : path.substr(0, slash)))
        return;
    Node whiteout;
    whiteout.mode = S_IFCHR; // 0:0
    put(path, whiteout);
}

bool TreeBuilder::shows_through(std::string_view directory)
{
    Reached reached;
    walk(directory, false, &reached);
    // An opaque directory further up hides what is below it, too.
    for (NodeId id = reached.deepest; id != 0; id = parent_of(id)) {
        if (is_opaque(id))
            return false;
    }
    return reached.is_below && !is_opaque(0);
}

bool TreeBuilder::is_opaque(NodeId id) const
{
    if (tree_->nodes[id].xattrs == 0)
        return false;
    const auto all = tree_->xattrs.decode(tree_->nodes[id].xattrs);
    return std::any_of(all.begin(), all.end(), is_opaque_mark);
}

void TreeBuilder::hide_below(std::string_view path)
{
    if (leads_through_a_file(path) || (find(path) && !walk(path, false)))
        return;
    add_xattr(*walk(path, true), opaque);
}

void TreeBuilder::adopt_parents(TreeBuilder &below)
{
    below.begin_layer();
    const auto translated = [](std::uint32_t id, const XattrSets &from, XattrSets &to) {
        std::vector<Xattr> all;
        if (id != 0)
            all = from.decode(id);
        std::erase_if(all, is_opaque_mark);
        return to.intern(std::move(all));
    };
    const auto adopt = [&](NodeId id, const std::string &path, bool is_opaque) {
        Node &node = tree_->nodes[id];
        if (S_ISLNK(node.mode)) {
            Node copy = node;
            copy.xattrs = 0;
            return below.put(path, copy, tree_->target(node));
        }
        if (!S_ISDIR(node.mode)) {
            below.remove(path);
            return;
        }
        const auto known = below.find(path);
        if (known && implied_.contains(id)) {
            const Node &from = below.tree_->nodes[*known];
            node.mode = from.mode;
            node.uid = from.uid;
            node.gid = from.gid;
            node.mtime_sec = from.mtime_sec;
            node.mtime_nsec = from.mtime_nsec;
            node.xattrs = translated(from.xattrs, below.xattrs(), xattrs());
            if (is_opaque)
                add_xattr(id, opaque);
        } else {
            Node copy = node;
            copy.xattrs = translated(node.xattrs, xattrs(), below.xattrs());
            below.put(path, copy);
        }
        if (is_opaque)
            below.clear(path);
    };
    const auto is_there = [&](std::uint32_t entry) {
        while (entry != no_entry && tree_->entries[entry].parent != no_entry)
            entry = tree_->nodes[tree_->entries[entry].parent].entry;
        return entry == no_entry;
    };
    adopt(0, "", is_opaque(0));
    // A directory's entry is older than those of what is in it.
    for (std::uint32_t i = 0; i < tree_->entries.size(); ++i) {
        const Entry &entry = tree_->entries[i];
        if (is_there(i))
            adopt(entry.node, tree_->path(entry.parent) + "/" + std::string(tree_->name(entry)),
                  is_opaque(entry.node));
    }
}

bool TreeBuilder::remove(std::string_view path)
{
    const Place at = place(path, false);
    const std::uint32_t entry = at.dir == no_entry || at.name.empty() ? no_entry : lookup(at.dir, at.name);
    if (entry == no_entry)
        return false;
    if (layers_[entry] != layer_) {
        kill(entry);
        return true;
    }
    if (!S_ISDIR(tree_->nodes[tree_->entries[entry].node].mode))
        return false;
    clear_below(tree_->entries[entry].node);
    return true;
}

void TreeBuilder::clear(std::string_view path)
{
    const std::optional<NodeId> dir = walk(path, false);
    if (dir)
        clear_below(*dir);
}

} // namespace daxfs
