// SPDX-License-Identifier: Apache-2.0
#include "rules.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include <sys/stat.h>

#include <fmt/core.h>

#include "attribute_change.hpp"
#include "error.hpp"
#include "file_type.hpp"
#include "glob.hpp"
#include "thread_locale.hpp"

namespace daxfs {

namespace {

constexpr unsigned all_types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK};

// As modes have them, for a set.
unsigned bit_of(unsigned mode)
{
    return 1U << ((mode & S_IFMT) >> 12);
}

unsigned parse_types(std::string_view list)
{
    unsigned types = 0;
    for (;;) {
        const std::string_view name = list.substr(0, list.find(','));
        const auto type = std::find_if(std::begin(all_types), std::end(all_types),
                                       [&](unsigned mode) { return name == file_type_name(mode); });
        if (type == std::end(all_types))
            throw std::invalid_argument("expected some of reg, dir, lnk, chr, blk, fifo and sock, got " +
                                        printable(name));
        types |= bit_of(*type);
        if (name.size() == list.size())
            return types;
        list.remove_prefix(name.size() + 1);
    }
}

} // namespace

struct Rules::Rule {
    std::optional<Glob> glob; // none for the root
    unsigned types = 0;       // all, when none is named
    AttributeChange change;
    std::string shown;
    mutable bool has_matched = false;

    bool is_for(unsigned mode) const { return types == 0 || (types & bit_of(mode)) != 0; }
};

std::shared_ptr<Rules::Rule> Rules::parse(std::string_view line)
{
    auto rule = std::make_shared<Rule>();
    const std::string_view pattern = next_word(line);
    rule->shown = printable(pattern);
    const std::string path = decoded_word(pattern);
    if (path != "/")
        rule->glob = Glob(path);
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        const auto [key, value] = split_word(word);
        if (key == "type")
            rule->types = parse_types(value);
        else if (!rule->change.take(key, value))
            throw std::invalid_argument("expected type, mode, uid, gid, mtime, xattr.NAME or no-xattr, got " +
                                        printable(key));
    }
    if (rule->change.empty())
        throw std::invalid_argument("expected something to change of " + printable(path) + ", got nothing");
    return rule;
}

void Rules::add(std::istream &lines, const std::string &name)
{
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        std::string_view rest = line;
        const std::string_view first = next_word(rest);
        if (first.empty() || first.starts_with('#'))
            continue;
        const std::string place = fmt::format("{} line {}", printable(name), number);
        try {
            const auto rule = parse(line);
            rule->shown += fmt::format(" ({})", place);
            rules_.push_back(rule);
        } catch (const std::exception &wrong) {
            throw std::runtime_error(place + ": " + wrong.what());
        }
    }
    if (lines.bad())
        throw std::runtime_error("cannot read " + printable(name));
}

void Rules::apply(Tree &tree, bool keep_opaque) const
{
    if (rules_.empty())
        return;
    const ThreadLocale bytes("C");
    std::vector<std::pair<NodeId, std::size_t>> hits; // a file, and a rule for it
    const auto find = [&](NodeId id, const std::string &path) {
        for (std::size_t i = 0; i < rules_.size(); ++i) {
            const Rule &rule = *rules_[i];
            if (rule.is_for(tree.nodes[id].mode) &&
                (rule.glob ? id != 0 && rule.glob->matches(path) : id == 0))
                hits.emplace_back(id, i);
        }
    };
    find(0, "");
    for (const NodeId dir : tree.by_ino) {
        const Node &node = tree.nodes[dir];
        if (!S_ISDIR(node.mode))
            continue;
        const std::string front = dir == 0 ? "" : tree.path(dir) + "/";
        for (std::uint32_t at = node.first; at < node.first + node.count; ++at)
            find(tree.entries[at].node, front + std::string(tree.name(tree.entries[at])));
    }
    // Each once, whatever names it has.
    std::sort(hits.begin(), hits.end());
    hits.erase(std::unique(hits.begin(), hits.end()), hits.end());
    for (const auto &[id, i] : hits) {
        const Rule &rule = *rules_[i];
        Node &node = tree.nodes[id];
        rule.has_matched = true;
        rule.change.apply(node, tree.xattrs, {S_ISLNK(node.mode) && rule.types == 0, keep_opaque});
    }
}

std::vector<std::string> Rules::unmatched() const
{
    std::vector<std::string> shown;
    for (const auto &rule : rules_)
        if (!rule->has_matched)
            shown.push_back(rule->shown);
    return shown;
}

} // namespace daxfs
