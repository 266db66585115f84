// SPDX-License-Identifier: Apache-2.0
#include "order.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include <sys/stat.h>

#include <fmt/core.h>

#include "error.hpp"
#include "path_component.hpp"
#include "percent.hpp"

namespace daxfs {

namespace {

std::optional<NodeId> find(const Tree &tree, std::string_view path)
{
    NodeId at = 0;
    for (auto name = next_component(path); !name.empty(); name = next_component(path)) {
        const Node &dir = tree.nodes[at];
        if (!S_ISDIR(dir.mode))
            return std::nullopt;
        const auto begin = tree.entries.begin() + dir.first;
        const auto end = begin + dir.count;
        const auto found =
            std::lower_bound(begin, end, name, [&](const Entry &entry, std::string_view wanted) {
                return tree.name(entry) < wanted;
            });
        if (found == end || tree.name(*found) != name)
            return std::nullopt;
        at = found->node;
    }
    return at;
}

} // namespace

std::vector<std::string> read_order(std::istream &list, const std::string &name)
{
    std::vector<std::string> paths;
    std::size_t number = 0;
    for (std::string line; std::getline(list, line);) {
        ++number;
        if (line.empty() || line.starts_with('#'))
            continue;
        auto path = percent_decode(line);
        if (!path)
            throw std::runtime_error(
                fmt::format("{} line {}: expected two hexadecimal digits after %, got {}", printable(name),
                            number, printable(line)));
        paths.push_back(std::move(*path));
    }
    return paths;
}

FileOrder find_files(const Tree &tree, const std::vector<std::string> &paths)
{
    FileOrder order;
    std::vector<bool> is_known(paths.empty() ? 0 : tree.nodes.size());
    for (const std::string &path : paths) {
        const auto node = find(tree, path);
        if (!node || !S_ISREG(tree.nodes[*node].mode)) {
            ++order.unknown;
            continue;
        }
        if (!is_known[*node])
            order.files.push_back(*node);
        is_known[*node] = true;
    }
    return order;
}

} // namespace daxfs
