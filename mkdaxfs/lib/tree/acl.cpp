// SPDX-License-Identifier: Apache-2.0
#include "acl.hpp"

#include <cstdint>
#include <cstring>

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "daxfs_format.h"

namespace daxfs {

bool is_acl_index(std::uint8_t index)
{
    return index == DAXFS_XATTR_ACL_ACCESS || index == DAXFS_XATTR_ACL_DEFAULT;
}

bool is_acl(std::string_view value)
{
    posix_acl_xattr_header header;
    posix_acl_xattr_entry entry;
    if (value.size() < sizeof(header) || (value.size() - sizeof(header)) % sizeof(entry) != 0)
        return false;
    std::memcpy(&header, value.data(), sizeof(header));
    if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION)
        return false;
    value.remove_prefix(sizeof(header));
    if (value.empty())
        return true;

    // The order of the tags is that of their numbers; those of an id may repeat.
    unsigned last = 0;
    unsigned seen = 0;
    for (; !value.empty(); value.remove_prefix(sizeof(entry))) {
        std::memcpy(&entry, value.data(), sizeof(entry));
        const unsigned tag = le16toh(entry.e_tag);
        const bool has_id = tag == ACL_USER || tag == ACL_GROUP;
        const bool is_tag =
            has_id || tag == ACL_USER_OBJ || tag == ACL_GROUP_OBJ || tag == ACL_MASK || tag == ACL_OTHER;
        if (!is_tag || tag < last || (tag == last && !has_id) || le16toh(entry.e_perm) > 7 ||
            (has_id && le32toh(entry.e_id) == UINT32_MAX))
            return false;
        last = tag;
        seen |= tag;
    }
    constexpr unsigned always = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
    return (seen & always) == always && ((seen & (ACL_USER | ACL_GROUP)) == 0 || (seen & ACL_MASK) != 0);
}

} // namespace daxfs
