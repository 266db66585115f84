// SPDX-License-Identifier: Apache-2.0
// The tree that goes into an image: some 120 bytes an entry, names included.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workers.hpp"
#include "xattr_sets.hpp"

namespace daxfs {

using NodeId = std::uint32_t;
inline constexpr std::uint32_t no_entry = 0xffffffff;
// (uid_t)-1 means "none" to the kernel: to chown(2), "leave it".
inline constexpr std::uint32_t no_owner = 0xffffffff;

// One inode. What data, first and count mean depends on the type:
//  regular    data: image offset of the data, or of the extent list, once known;
//             first: 0 when flat, else index + 1 of its SparseFile; count: extents
//  directory  data: image offset of the record, once planned; [first, first +
//             count): its entries
//  symlink    data: position of the target in the tree's text
//  device     data: major << 32 | minor
struct Node {
    std::uint64_t size = 0; // bytes of the file, the target, or the record
    std::uint64_t data = 0;
    std::int64_t mtime_sec = 0;
    std::uint32_t mtime_nsec = 0;
    std::uint16_t mode = 0;
    std::uint16_t source = 0; // which of several sources has its content
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t nlink = 0;        // set by finish()
    std::uint32_t xattrs = 0;       // id in XattrSets; 0 none
    std::uint32_t entry = no_entry; // the first entry that names it
    std::uint32_t ino = 0;          // set by finish()
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t content = 0; // regular: where the source finds it; the source's own
};

// A name in a directory.
struct Entry {
    std::uint64_t name : 56; // position in the tree's text
    std::uint64_t name_len : 8;
    NodeId parent;
    NodeId node;
};

class Tree {
public:
    std::vector<Node> nodes;    // by NodeId; 0 is the root
    std::vector<Entry> entries; // grouped by parent, sorted by name after finish()
    std::vector<NodeId> by_ino; // inode number - 1 → node; set by finish()
    XattrSets xattrs;

    NodeId add_node(const Node &node);
    void add_entry(NodeId parent, std::string_view name, NodeId node);
    std::uint64_t add_text(std::string_view bytes);

    // Sort the entries, count the links and number the inodes: children of a
    // directory one after the other in name order, then the same for each
    // subdirectory. After it, the order in which things were added no longer shows.
    void finish(const Workers &workers);

    std::string_view name(const Entry &entry) const;
    std::string_view target(const Node &symlink) const;
    // Path from the root, without a leading slash; "" for the root.
    std::string path(NodeId node) const;
    // The same for messages: printable, "/" in front.
    std::string shown_path(NodeId node) const;

private:
    void group_entries();
    void sort_names(const Workers &workers);
    void number();

    std::string text_;
};

} // namespace daxfs
