// SPDX-License-Identifier: Apache-2.0
#include "tree.hpp"

#include <algorithm>
#include <stdexcept>

#include <sys/stat.h>

#include <fmt/core.h>

#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

NodeId Tree::add_node(const Node &node)
{
    if (nodes.size() >= no_entry)
        throw std::runtime_error("more than 4294967294 inodes, an image holds no more");
    nodes.push_back(node);
    return static_cast<NodeId>(nodes.size() - 1);
}

void Tree::add_entry(NodeId parent, std::string_view name, NodeId node)
{
    if (name.empty() || name.size() > DAXFS_NAME_MAX)
        throw std::runtime_error(fmt::format("name of {} bytes in {}, an image holds 1 to {}: {}",
                                             name.size(), shown_path(parent), DAXFS_NAME_MAX,
                                             printable(name)));
    if (entries.size() >= no_entry)
        throw std::runtime_error("more than 4294967294 names, an image holds no more");
    Entry entry = {};
    entry.name = add_text(name) & ((1ULL << 56) - 1);
    entry.name_len = static_cast<std::uint8_t>(name.size());
    entry.parent = parent;
    entry.node = node;
    entries.push_back(entry);
    if (nodes[node].entry == no_entry)
        nodes[node].entry = static_cast<std::uint32_t>(entries.size() - 1);
}

std::uint64_t Tree::add_text(std::string_view bytes)
{
    const std::uint64_t at = text_.size();
    text_ += bytes;
    return at;
}

std::string_view Tree::name(const Entry &entry) const
{
    return std::string_view(text_).substr(entry.name, entry.name_len);
}

std::string_view Tree::target(const Node &symlink) const
{
    return std::string_view(text_).substr(symlink.data, symlink.size);
}

std::string Tree::path(NodeId node) const
{
    std::vector<std::string_view> names;
    for (std::uint32_t at = nodes[node].entry; at != no_entry; at = nodes[entries[at].parent].entry)
        names.push_back(name(entries[at]));
    std::string path;
    for (auto part = names.rbegin(); part != names.rend(); ++part) {
        if (!path.empty())
            path += '/';
        path += *part;
    }
    return path;
}

std::string Tree::shown_path(NodeId node) const
{
    return "/" + printable(path(node));
}

void Tree::finish(const Workers &workers)
{
    group_entries();
    sort_names(workers);
    number();
}

// Counting sort: the entries of a directory become neighbours.
void Tree::group_entries()
{
    for (const Entry &entry : entries)
        ++nodes[entry.parent].count;
    std::uint32_t next = 0;
    for (Node &node : nodes) {
        if (!S_ISDIR(node.mode))
            continue;
        node.first = next;
        next += node.count;
        node.count = 0;
    }
    std::vector<Entry> grouped(entries.size());
    for (const Entry &entry : entries) {
        Node &parent = nodes[entry.parent];
        grouped[parent.first + parent.count++] = entry;
    }
    entries = std::move(grouped);
}

void Tree::sort_names(const Workers &workers)
{
    constexpr std::size_t slice = 1024;
    const auto sort_one = [&](const Node &dir) {
        const auto begin = entries.begin() + dir.first;
        std::sort(begin, begin + dir.count,
                  [&](const Entry &a, const Entry &b) { return name(a) < name(b); });
    };
    workers.for_each((nodes.size() + slice - 1) / slice, [&](std::size_t i) {
        const std::size_t end = std::min(nodes.size(), (i + 1) * slice);
        for (std::size_t node = i * slice; node < end; ++node) {
            if (S_ISDIR(nodes[node].mode))
                sort_one(nodes[node]);
        }
    });
}

void Tree::number()
{
    by_ino.clear();
    by_ino.reserve(nodes.size());
    const auto give = [&](NodeId id) {
        by_ino.push_back(id);
        nodes[id].ino = static_cast<std::uint32_t>(by_ino.size());
    };
    give(0);
    nodes[0].nlink = 2;
    nodes[0].entry = no_entry;

    std::vector<NodeId> pending = {0};
    while (!pending.empty()) {
        const Node dir = nodes[pending.back()];
        NodeId dir_id = pending.back();
        pending.pop_back();
        for (std::uint32_t at = dir.first; at < dir.first + dir.count; ++at) {
            Node &child = nodes[entries[at].node];
            const bool seen = child.ino != 0;
            if (S_ISDIR(child.mode)) {
                if (seen)
                    throw std::runtime_error("directory with two names: " + shown_path(entries[at].node));
                child.nlink = 2;
                ++nodes[dir_id].nlink;
            } else {
                ++child.nlink;
            }
            if (seen)
                continue;
            child.entry = at;
            give(entries[at].node);
        }
        for (std::uint32_t at = dir.first + dir.count; at-- > dir.first;) {
            if (S_ISDIR(nodes[entries[at].node].mode))
                pending.push_back(entries[at].node);
        }
    }
}

} // namespace daxfs
