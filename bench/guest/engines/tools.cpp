// SPDX-License-Identifier: Apache-2.0
#include "tools.hpp"

#include "mounts.hpp"

namespace daxbench {

namespace {

bool is_mounted(const std::string &target)
{
    try {
        mounted_at(target);
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

} // namespace

void mount_tools(const RunRequest &request, const std::string &options)
{
    if (is_mounted(tools_target))
        return;
    request.load("erofs");
    mount_filesystem("erofs", "tools", options, tools_target);
}

} // namespace daxbench
