// SPDX-License-Identifier: Apache-2.0
#include "xattr_sets.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <tuple>

#include "daxfs_format.h"

namespace daxfs {

namespace {

struct Namespace {
    std::uint8_t index;
    std::string_view prefix;
    bool has_name;
};

constexpr std::array<Namespace, 5> namespaces = {{
    {DAXFS_XATTR_USER, "user.", true},
    {DAXFS_XATTR_TRUSTED, "trusted.", true},
    {DAXFS_XATTR_SECURITY, "security.", true},
    {DAXFS_XATTR_ACL_ACCESS, "system.posix_acl_access", false},
    {DAXFS_XATTR_ACL_DEFAULT, "system.posix_acl_default", false},
}};

template <typename T> void append_raw(std::string &to, const T &value)
{
    to.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

std::string encode(const std::vector<Xattr> &xattrs)
{
    std::string set(sizeof(daxfs_xattr_set), '\0');
    for (const Xattr &xattr : xattrs) {
        daxfs_xattr head = {};
        head.index = xattr.index;
        head.name_len = static_cast<std::uint8_t>(xattr.name.size());
        head.value_len = static_cast<std::uint32_t>(xattr.value.size());
        append_raw(set, head);
        set += xattr.name;
        set += xattr.value;
        set.resize((set.size() + 3) / 4 * 4);
    }
    daxfs_xattr_set head = {};
    head.size = static_cast<std::uint32_t>(set.size());
    head.count = static_cast<std::uint32_t>(xattrs.size());
    std::copy_n(reinterpret_cast<const char *>(&head), sizeof(head), set.begin());
    return set;
}

} // namespace

bool split_xattr_name(std::string_view full, Xattr &xattr)
{
    for (const Namespace &space : namespaces) {
        const bool is_named = full.size() > space.prefix.size();
        if (!full.starts_with(space.prefix) || is_named != space.has_name)
            continue;
        xattr.index = space.index;
        xattr.name = full.substr(space.prefix.size());
        return true;
    }
    return false;
}

void check_xattr(std::size_t name, std::size_t value, const std::string &shown)
{
    if (name > DAXFS_NAME_MAX || value > 65536)
        throw std::runtime_error(shown + ": an extended attribute with a name of " + std::to_string(name) +
                                 " and a value of " + std::to_string(value) +
                                 " bytes, an image holds 255 and 65536");
}

std::string join_xattr_name(std::uint8_t index, std::string_view rest)
{
    for (const Namespace &space : namespaces) {
        if (space.index == index)
            return std::string(space.prefix) + std::string(rest);
    }
    return "unknown." + std::string(rest);
}

std::uint32_t XattrSets::intern(std::vector<Xattr> xattrs)
{
    if (xattrs.empty())
        return 0;
    std::reverse(xattrs.begin(), xattrs.end());
    std::stable_sort(xattrs.begin(), xattrs.end(), [](const Xattr &a, const Xattr &b) {
        return std::tie(a.index, a.name) < std::tie(b.index, b.name);
    });
    const auto same = std::unique(xattrs.begin(), xattrs.end(), [](const Xattr &a, const Xattr &b) {
        return a.index == b.index && a.name == b.name;
    });
    xattrs.erase(same, xattrs.end());
    return intern_bytes(encode(xattrs));
}

std::uint32_t XattrSets::intern_bytes(std::string_view bytes)
{
    const std::lock_guard lock(mutex_);
    const auto next = static_cast<std::uint32_t>(sets_.size() + 1);
    const auto [at, added] = ids_.try_emplace(std::string(bytes), next);
    if (added)
        sets_.push_back(&at->first);
    return at->second;
}

std::vector<Xattr> XattrSets::decode(std::uint32_t id) const
{
    std::vector<Xattr> xattrs;
    const std::string_view set = bytes(id);
    for (std::size_t at = sizeof(daxfs_xattr_set); at < set.size();) {
        daxfs_xattr head;
        std::memcpy(&head, set.data() + at, sizeof(head));
        at += sizeof(head);
        xattrs.push_back({head.index, std::string(set.substr(at, head.name_len)),
                          std::string(set.substr(at + head.name_len, head.value_len))});
        at = (at + head.name_len + head.value_len + 3) / 4 * 4;
    }
    return xattrs;
}

std::vector<std::uint32_t> XattrSets::edit(const std::function<void(std::vector<Xattr> &)> &edit)
{
    std::vector<std::uint32_t> ids = {0};
    for (std::uint32_t id = 1, before = static_cast<std::uint32_t>(count()); id <= before; ++id) {
        std::vector<Xattr> xattrs = decode(id);
        edit(xattrs);
        ids.push_back(intern(std::move(xattrs)));
    }
    return ids;
}

} // namespace daxfs
