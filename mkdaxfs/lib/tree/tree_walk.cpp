// SPDX-License-Identifier: Apache-2.0
// TreeBuilder: how a path leads to a directory, through symlinks of this tree and of lower layers.
#include <utility>

#include <sys/stat.h>

#include "path_component.hpp"
#include "tree_builder.hpp"
#include "tree_paths.hpp"

namespace daxfs {

namespace {

constexpr int most_symlinks = 40; // as the kernel follows in one path

// What is left to walk: the path, and in front of it the targets of symlinks met.
class Steps {
public:
    explicit Steps(std::string_view path) : left_{{std::string(path), 0}} {}

    // Valid until the next call; none at the end.
    std::optional<std::string> next()
    {
        while (!left_.empty()) {
            auto &[path, done] = left_.back();
            std::string_view rest = std::string_view(path).substr(done);
            const std::string_view part = next_component(rest);
            done = path.size() - rest.size();
            in_target_ = left_.size() > 1;
            if (!part.empty())
                return std::string(part);
            left_.pop_back();
        }
        return std::nullopt;
    }
    // Was the last part a symlink's, and not the path's own?
    bool in_target() const { return in_target_; }
    // False when there are more symlinks than the kernel follows.
    bool follow(const std::string &target)
    {
        left_.emplace_back(target, 0);
        return ++symlinks_ <= most_symlinks;
    }

private:
    std::vector<std::pair<std::string, std::size_t>> left_; // and how far each is walked
    bool in_target_ = false;
    int symlinks_ = 0;
};

} // namespace

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
    Steps steps(path);
    const auto follow = [&](const std::string &target) {
        if (!steps.follow(target))
            throw TreeError(shown_path(whole) + " leads through more than 40 symbolic links");
        if (target.starts_with('/')) {
            dir = 0;
            below.to_root();
        }
    };
    while (const auto part = steps.next()) {
        if (*part == "..") {
            if (!steps.in_target())
                throw TreeError("expected a path without \"..\", got " + shown_path(whole));
            dir = parent_of(dir);
            below.up();
            continue;
        }
        const std::uint32_t entry = lost ? no_entry : lookup(dir, *part);
        if (entry == no_entry) {
            if (const auto target = below.symlink(*part)) {
                follow(*target);
                continue;
            }
            lost = !make;
            if (make)
                dir = imply(dir, *part);
            below.down(*part);
            continue;
        }
        const NodeId id = tree_->entries[entry].node;
        const Node &node = tree_->nodes[id];
        if (S_ISLNK(node.mode)) {
            follow(std::string(tree_->target(node)));
            continue;
        }
        if (!S_ISDIR(node.mode) && !make) {
            if (reached)
                reached->is_no_directory = true;
            return std::nullopt;
        }
        if (!S_ISDIR(node.mode))
            throw leads_through(whole, dir, *part);
        if (make)
            layers_[entry] = layer_;
        dir = id;
        below.down(*part);
    }
    if (reached)
        *reached = {dir, below_is_unknown_ || below.is_there(), false};
    return lost ? std::nullopt : std::optional(dir);
}

// A directory that nobody has put.
NodeId TreeBuilder::imply(NodeId dir, std::string_view name)
{
    Node implied;
    implied.mode = S_IFDIR | 0755;
    const NodeId id = put_at(dir, name, implied, {});
    implied_.insert(id);
    return id;
}

// By the name it was reached: a file's first one may have been replaced.
TreeError TreeBuilder::leads_through(std::string_view whole, NodeId dir, const std::string &name) const
{
    const std::string parent = tree_->path(dir);
    return TreeError(shown_path(whole) + " leads through " +
                     shown_path(parent.empty() ? name : parent + "/" + name) + ", which is no directory");
}

TreeBuilder::Place TreeBuilder::place(std::string_view path, bool make)
{
    while (!path.empty() && (path.ends_with('/') || path == "." || path.ends_with("/.")))
        path.remove_suffix(1);
    const std::size_t slash = path.rfind('/');
    const std::string_view front = slash == path.npos ? std::string_view() : path.substr(0, slash);
    const std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
    if (name == "..")
        throw TreeError("expected a path without \"..\", got " + shown_path(path));
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

std::optional<NodeId> TreeBuilder::find(std::string_view path)
{
    const Place at = place(path, false);
    if (at.dir == no_entry)
        return std::nullopt;
    if (at.name.empty())
        return 0;
    return entry_at(at.dir, at.name);
}

} // namespace daxfs
