// SPDX-License-Identifier: Apache-2.0
// A tree put together by paths, where what comes later replaces what came before:
// archives, text, layers, several sources.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tree.hpp"

namespace daxfs {

// What marks a directory of a layer that hides all below it, for overlayfs.
bool is_opaque_mark(const Xattr &xattr);

// The same attribute, or any that overlayfs takes for its own, as a file's that overlayfs is to show: since
// Linux 6.7 it takes one "overlay." away. False where it is none of overlayfs'.
bool escape_overlay(Xattr &xattr);

// What cannot be in the tree; one line that names the path.
struct TreeError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Paths are relative to the root; a leading slash, "." and empty parts do not count,
// ".." is refused. Symlinks in front of the last part are followed inside the tree, as
// they would be when an archive is unpacked; the last part never is.
class TreeBuilder {
public:
    // With `below`, paths lead through the symlinks of lower layers, too; adopt_parents() fills it.
    explicit TreeBuilder(const TreeBuilder *below = nullptr);

    // This tree is one layer, and what lies below it is not known: anything may.
    void lies_over_unknown() { below_is_unknown_ = true; }
    // Of such a layer, the directories that it leads through but does not describe, the root aside.
    std::vector<std::string> undescribed() const;

    XattrSets &xattrs() { return tree_->xattrs; }

    // What is put from now on comes from this source. remove() and clear() touch only
    // what was there before this call.
    void begin_source(std::uint16_t source);
    // The same source goes on with its next layer.
    void begin_layer();

    // A directory put over a directory changes only its attributes. Missing parents are
    // made, root's, mode 0755, of time 0.
    void put(std::string_view path, Node node, std::string_view target = {});
    // Another name of what is there at `to`. Throws when that is nothing or a directory.
    NodeId link(std::string_view path, std::string_view to);
    // The path is left out of the tree, but may be what a link() is to: no directory, nor what
    // an image cannot hold.
    void put_excluded(std::string_view path, Node node, std::string_view target = {});
    std::optional<NodeId> link_excluded(std::string_view path, std::string_view to);
    // As overlayfs has it: what lower layers have at the paths, or below the directories, is hidden.
    // What this tree has there itself stays. Where nothing shows through, in an opaque directory or
    // below what no lower layer has, nothing is put: overlayfs would show the whiteout itself.
    void hide(std::vector<std::string> paths, std::vector<std::string> directories);
    // Give the parents that were missing the attributes of the directories in `below`, which has
    // the lower layers' directories and symlinks; then put this layer's there.
    void adopt_parents(TreeBuilder &below);
    // What earlier layers put at path goes. False when there is nothing of theirs.
    bool remove(std::string_view path);
    // What earlier layers put below the directory goes.
    void clear(std::string_view path);
    // The directory that path is in gets the attribute, unless it has one of that name.
    void mark_parent(std::string_view path, const Xattr &xattr);
    // What is at path; its last part, if a symlink, is not followed.
    std::optional<NodeId> find(std::string_view path);
    // A regular file that gets its content from this source.
    Node &file(NodeId id);
    // Attributes of what is there, to be changed; its type and content are not.
    Node &attributes(NodeId id) { return tree_->nodes[id]; }
    const Tree &tree() const { return *tree_; }
    // Everything of another tree that finish() has been called on. Node::content of what comes from it
    // is the node's id there.
    void merge(const Tree &other);

    // Use it no more afterwards.
    std::unique_ptr<Tree> finish();

private:
    class Below;
    struct Place {
        NodeId dir = 0;
        std::string_view name; // empty: the root itself
    };

    Place place(std::string_view path, bool make);
    // Where a walk ended.
    struct Reached {
        NodeId deepest = 0;           // the last directory of the path that is in this tree
        bool is_below = false;        // is there such a directory in lower layers?
        bool is_no_directory = false; // what follows it is there, but is none
    };

    // `whole` is for messages.
    std::optional<NodeId> walk(std::string_view path, bool make, Reached *reached = nullptr,
                               std::string_view whole = {});
    NodeId imply(NodeId dir, std::string_view name);
    TreeError leads_through(std::string_view whole, NodeId dir, const std::string &name) const;
    void hide(const std::string &path);
    void hide_below(std::string_view path);
    bool shows_through(std::string_view directory);
    bool is_opaque(NodeId id) const;
    std::uint32_t lookup(NodeId dir, std::string_view name) const;
    std::optional<NodeId> entry_at(NodeId dir, std::string_view name) const;
    std::uint32_t add_entry(NodeId dir, std::string_view name, NodeId node);
    NodeId put_at(NodeId dir, std::string_view name, Node node, std::string_view target);
    NodeId add(Node node, std::string_view name, std::string_view target);
    void link_at(NodeId dir, std::string_view name, NodeId node);
    std::optional<NodeId> link_target(std::string_view path);
    NodeId parent_of(NodeId dir) const;
    bool leads_through_a_file(std::string_view path);
    void add_xattr(NodeId node, const Xattr &xattr);
    void kill(std::uint32_t entry);
    void clear_below(NodeId dir);
    void index(std::uint32_t entry);
    void grow_index();
    std::uint64_t slot_of(NodeId dir, std::string_view name) const;

    const TreeBuilder *below_;
    bool below_is_unknown_ = false;
    std::unique_ptr<Tree> tree_ = std::make_unique<Tree>();
    // By entry: the next one of the same directory (Node::first has the first), and the
    // layer that put it.
    std::vector<std::uint32_t> next_;
    std::vector<std::uint16_t> layers_;
    std::vector<std::uint32_t> slots_; // open addressing: entry + 1
    std::size_t used_slots_ = 0;
    std::unordered_set<NodeId> implied_ = {0};         // directories made, not put
    std::unordered_set<NodeId> cleared_;               // in this layer
    std::unordered_map<std::string, NodeId> excluded_; // by path as plain_path() has it
    std::uint16_t source_ = 0;
    std::uint16_t layer_ = 0;
    bool has_dead_ = false;
    // Archives name one directory's entries one after the other.
    std::string last_dir_;
    NodeId last_id_ = 0;
    bool last_valid_ = false;
};

} // namespace daxfs
