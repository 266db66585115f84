// SPDX-License-Identifier: Apache-2.0
// The guest's devices by the names that requests give them.
#pragma once

#include <string>

namespace daxbench {

/// "pmem" → the image's device, "tools" → the tools', "seed" → the disk with this serial or the image, "none"
/// and "reserved" (a range that the options name) → "none", a path stays. Waits some seconds for the device;
/// throws naming what is there instead.
std::string resolve_source(const std::string &source);

} // namespace daxbench
