// SPDX-License-Identifier: Apache-2.0
#include "attribute_change.hpp"

#include <algorithm>
#include <stdexcept>

#include <fnmatch.h>

#include <fmt/core.h>

#include "error.hpp"
#include "linux_limits.hpp"
#include "text_form.hpp"
#include "tree_builder.hpp"

namespace daxfs {

namespace {

std::uint32_t owner(std::string_view key, std::string_view text)
{
    const auto number = parse_number<std::uint32_t>(text);
    if (!number)
        throw std::invalid_argument(fmt::format("expected a number as {}, got {}", key, printable(text)));
    if (*number > linux_id_max)
        throw std::invalid_argument(
            fmt::format("expected a number to {} as {}, got {}", linux_id_max, key, *number));
    return *number;
}

Xattr parsed_xattr(std::string_view key, std::string_view value)
{
    Xattr xattr;
    const std::string name = decoded_word(key);
    const auto bytes = percent_decode(value);
    if (!bytes || !split_xattr_name(name, xattr))
        throw std::invalid_argument("expected xattr.NAMESPACE.NAME=VALUE, got " + printable(key));
    check_xattr(xattr.name.size(), bytes->size(), printable(name));
    xattr.value = *bytes;
    return xattr;
}

} // namespace

std::string_view next_word(std::string_view &line)
{
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(word.size());
    return word;
}

std::string decoded_word(std::string_view word)
{
    const auto bytes = percent_decode(word);
    if (!bytes || bytes->find('\0') != bytes->npos)
        throw std::invalid_argument("expected bytes with %XX, got " + printable(word));
    return *bytes;
}

std::pair<std::string_view, std::string_view> split_word(std::string_view word)
{
    const std::size_t equals = word.find('=');
    if (equals == word.npos)
        throw std::invalid_argument("expected KEY=VALUE, got " + printable(word));
    return {word.substr(0, equals), word.substr(equals + 1)};
}

bool AttributeChange::take(std::string_view key, std::string_view value)
{
    if (key == "mode") {
        mode_ = ModeChange(value);
    } else if (key == "uid") {
        uid_ = owner(key, value);
    } else if (key == "gid") {
        gid_ = owner(key, value);
    } else if (key == "mtime") {
        std::pair<std::int64_t, std::uint32_t> time;
        if (!parse_time(value, time.first, time.second))
            throw std::invalid_argument("expected mtime=SECONDS.NANOSECONDS, got " + printable(value));
        mtime_ = time;
    } else if (key.starts_with("xattr.")) {
        xattrs_.push_back(parsed_xattr(key.substr(6), value));
    } else if (key == "no-xattr") {
        removed_xattrs_.push_back(decoded_word(value));
        if (removed_xattrs_.back().empty())
            throw std::invalid_argument("expected a glob for names of extended attributes, got none");
    } else {
        return false;
    }
    return true;
}

bool AttributeChange::empty() const
{
    return !mode_ && !uid_ && !gid_ && !mtime_ && xattrs_.empty() && removed_xattrs_.empty();
}

void AttributeChange::apply(Node &node, XattrSets &xattrs, const Limits &limits) const
{
    if (mode_ && !limits.keep_mode)
        node.mode = mode_->applied(node.mode);
    node.uid = uid_.value_or(node.uid);
    node.gid = gid_.value_or(node.gid);
    if (mtime_) {
        node.mtime_sec = mtime_->first;
        node.mtime_nsec = mtime_->second;
    }
    if (xattrs_.empty() && (removed_xattrs_.empty() || node.xattrs == 0))
        return;
    std::vector<Xattr> all;
    if (node.xattrs != 0)
        all = xattrs.decode(node.xattrs);
    std::erase_if(all, [&](const Xattr &xattr) {
        if (limits.keep_opaque && is_opaque_mark(xattr))
            return false;
        const std::string name = join_xattr_name(xattr.index, xattr.name);
        return std::any_of(removed_xattrs_.begin(), removed_xattrs_.end(), [&](const std::string &glob) {
            return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
        });
    });
    all.insert(all.end(), xattrs_.begin(), xattrs_.end()); // of two with one name the last counts
    node.xattrs = xattrs.intern(std::move(all));
}

} // namespace daxfs
