// SPDX-License-Identifier: Apache-2.0
#include "tree_builder.hpp"

#include <algorithm>
#include <stdexcept>

#include <sys/stat.h>

#include <xxhash.h>

#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

namespace {

const Xattr opaque = {DAXFS_XATTR_TRUSTED, "overlay.opaque", "y"};

constexpr int most_symlinks = 40; // as the kernel follows in one path

std::string shown(std::string_view path)
{
    return (path.starts_with('/') ? "" : "/") + printable(path);
}

// The path's first part, which is cut off it.
std::string_view take_part(std::string_view &path)
{
    while (path.starts_with('/'))
        path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

// Can an image hold a symlink that leads there?
bool is_target(std::string_view target)
{
    return !target.empty() && target.size() <= DAXFS_SYMLINK_MAX && target.find('\0') == target.npos;
}

// The path without empty parts and ".".
std::string plain(std::string_view path)
{
    std::string plain;
    while (!path.empty()) {
        const std::string_view part = take_part(path);
        if (!part.empty() && part != ".")
            plain.append(plain.empty() ? "" : "/").append(part);
    }
    return plain;
}

} // namespace

bool is_opaque_mark(const Xattr &xattr)
{
    return xattr.index == opaque.index && xattr.name == opaque.name;
}

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
        for (std::uint32_t i = tree_->nodes[at].first; i != no_entry; i = next_[i]) {
            if (tree_->entries[i].parent == no_entry)
                continue;
            const NodeId child = tree_->entries[i].node;
            if (layers_[i] != layer_)
                kill(i);
            else if (S_ISDIR(tree_->nodes[child].mode))
                pending.push_back(child);
        }
    }
}

// What the lower layers have where a walk has come to.
class TreeBuilder::Below {
public:
    explicit Below(const TreeBuilder *layers) : layers_(layers) {}

    bool is_there() const { return layers_ && deeper_ == 0; }
    void to_root() { *this = Below(layers_); }
    void up()
    {
        if (deeper_ != 0)
            --deeper_;
        else if (layers_)
            dir_ = layers_->parent_of(dir_);
    }
    void down(std::string_view name)
    {
        const std::optional<NodeId> id = at(name);
        if (id && S_ISDIR(node(*id).mode))
            dir_ = *id;
        else
            ++deeper_;
    }
    std::optional<std::string> symlink(std::string_view name) const
    {
        const std::optional<NodeId> id = at(name);
        if (!id || !S_ISLNK(node(*id).mode))
            return std::nullopt;
        return std::string(layers_->tree_->target(node(*id)));
    }

private:
    std::optional<NodeId> at(std::string_view name) const
    {
        return layers_ && deeper_ == 0 ? layers_->entry_at(dir_, name) : std::nullopt;
    }
    const Node &node(NodeId id) const { return layers_->tree_->nodes[id]; }

    const TreeBuilder *layers_;
    NodeId dir_ = 0;         // the last directory that they have, too
    std::size_t deeper_ = 0; // how far the walk is below it
};

// The directory that path names; none when it is not there and not to be made.
std::optional<NodeId> TreeBuilder::walk(std::string_view path, bool make, Reached *reached,
                                        std::string_view whole)
{
    if (whole.empty())
        whole = path;
    NodeId dir = 0;
    bool lost = false; // only lower layers may have what follows
    Below below(below_);
    int symlinks = 0;
    // What is left to walk: the path, and in front of it the targets of symlinks met.
    std::vector<std::string> left = {std::string(path)};
    std::vector<std::size_t> done = {0};
    while (!left.empty()) {
        std::string_view rest = std::string_view(left.back()).substr(done.back());
        const std::string part(take_part(rest));
        done.back() = left.back().size() - rest.size();
        const bool in_target = left.size() > 1;
        if (part.empty()) {
            left.pop_back();
            done.pop_back();
            continue;
        }
        if (part == ".")
            continue;
        if (part == "..") {
            if (!in_target)
                throw TreeError("wanted a path without \"..\", got " + shown(whole));
            dir = parent_of(dir);
            below.up();
            continue;
        }
        const auto follow = [&](const std::string &target) {
            if (++symlinks > most_symlinks)
                throw TreeError(shown(whole) + " leads through more than 40 symbolic links");
            if (target.starts_with('/')) {
                dir = 0;
                below.to_root();
            }
            left.push_back(target);
            done.push_back(0);
        };
        const std::uint32_t entry = lost ? no_entry : lookup(dir, part);
        if (entry == no_entry) {
            if (const auto target = below.symlink(part)) {
                follow(*target);
                continue;
            }
            if (!make) {
                lost = true;
                below.down(part);
                continue;
            }
            Node implied;
            implied.mode = S_IFDIR | 0755;
            dir = put_at(dir, part, implied, {});
            below.down(part);
            implied_.insert(dir);
            continue;
        }
        const NodeId id = tree_->entries[entry].node;
        const Node &node = tree_->nodes[id];
        if (S_ISLNK(node.mode)) {
            follow(std::string(tree_->target(node)));
            continue;
        }
        if (!S_ISDIR(node.mode)) {
            if (!make)
                return std::nullopt;
            // By the name it was reached: a file's first one may have been replaced.
            const std::string parent = tree_->path(dir);
            throw TreeError(shown(whole) + " leads through " +
                            shown(parent.empty() ? part : parent + "/" + part) + ", which is no directory");
        }
        if (make)
            layers_[entry] = layer_;
        dir = id;
        below.down(part);
    }
    if (reached)
        *reached = {dir, below.is_there()};
    return lost ? std::nullopt : std::optional(dir);
}

TreeBuilder::Place TreeBuilder::place(std::string_view path, bool make)
{
    while (!path.empty() && (path.ends_with('/') || path == "." || path.ends_with("/.")))
        path.remove_suffix(1);
    const std::size_t slash = path.rfind('/');
    const std::string_view front = slash == path.npos ? std::string_view() : path.substr(0, slash);
    const std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
    if (name == "..")
        throw TreeError("wanted a path without \"..\", got " + shown(path));
    if (!last_valid_ || last_dir_ != front) {
        const std::optional<NodeId> dir = walk(front, make, nullptr, path);
        if (!dir)
            return {no_entry, name};
        last_dir_ = front;
        last_id_ = *dir;
        last_valid_ = make; // else it is not marked as this layer's
    }
    return {last_id_, name};
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
            throw TreeError("target of " + shown(name) +
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
        throw TreeError("wanted a directory as the root, got something else");
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
    excluded_.insert_or_assign(plain(path), add(node, path, target));
}

std::optional<NodeId> TreeBuilder::link_excluded(std::string_view path, std::string_view to)
{
    try {
        const std::optional<NodeId> id = link_target(to);
        if (id)
            excluded_.insert_or_assign(plain(path), *id);
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
    const auto excluded = excluded_.find(plain(path));
    return excluded == excluded_.end() ? std::nullopt : std::optional(excluded->second);
}

NodeId TreeBuilder::link(std::string_view path, std::string_view to)
{
    const std::optional<NodeId> id = link_target(to);
    if (!id)
        throw TreeError("hard link " + shown(path) + " to " + shown(to) +
                        (below_ ? ": that is not in this layer, make one image of all (without --layers)"
                                : ": that is not in the tree"));
    if (S_ISDIR(tree_->nodes[*id].mode))
        throw TreeError("hard link " + shown(path) + " to the directory " + shown(to));
    const Place at = place(path, true);
    if (at.name.empty())
        throw TreeError("wanted a directory as the root, got a hard link");
    link_at(at.dir, at.name, *id);
    return *id;
}

std::optional<NodeId> TreeBuilder::find(std::string_view path)
{
    const Place at = place(path, false);
    if (at.dir == no_entry)
        return std::nullopt;
    if (at.name.empty())
        return 0;
    return entry_at(at.dir, at.name);
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

bool TreeBuilder::leads_through_a_file(std::string_view path)
{
    for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
        const std::string_view parent = path.substr(0, slash);
        if (find(parent) && !walk(parent, false))
            return true;
    }
    return false;
}

void TreeBuilder::hide(std::vector<std::string> paths, std::vector<std::string> directories)
{
    // What is below something hidden needs no mark of its own.
    for (auto *list : {&paths, &directories}) {
        std::transform(list->begin(), list->end(), list->begin(), plain);
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
