// SPDX-License-Identifier: Apache-2.0
#include "cold.hpp"

#include "mounts.hpp"
#include "system.hpp"

namespace daxbench {

void make_cold(const std::string &target)
{
    require_leave_to_drop();
    drop_caches();
    if (!page_cache_held())
        mount_again(target);
}

} // namespace daxbench
