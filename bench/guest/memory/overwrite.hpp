// SPDX-License-Identifier: Apache-2.0
// Writing into memory that other guests share.
#pragma once

#include "protocol.hpp"

namespace daxbench {

/// ARGS: "writes": [[offset, bytes in hex], …] into the image's device, past the page cache; or "copy": true,
/// all of the tools' device over its beginning. Returns {"writes": how many}.
json overwrite_shared(const json &args);

} // namespace daxbench
