// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace daxfs {

// Is this, the value of a system.posix_acl_* attribute as getxattr(2) gives it, an ACL that Linux
// takes (posix_acl_valid() in the kernel)? One of no entries is none at all, which it takes, too.
bool is_acl(std::string_view value);

// Is that what an attribute of this kind (DAXFS_XATTR_*) must be?
bool is_acl_index(std::uint8_t index);

} // namespace daxfs
