// SPDX-License-Identifier: Apache-2.0
// The programs that are no part of what is measured, on a device of their own.
#pragma once

#include "engines.hpp"

namespace daxbench {

inline constexpr char tools_target[] = "/tools";

/// Mounts them, unless they are.
void mount_tools(const RunRequest &request, const std::string &options);

} // namespace daxbench
