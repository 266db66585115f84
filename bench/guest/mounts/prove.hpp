// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel_log.hpp"
#include "protocol.hpp"

namespace daxbench {

/// That what is mounted at args.target is what its name says: type, options read back,
/// STATX_ATTR_DAX on its largest file, growth of the page cache on a read of it. Returns what was
/// seen; throws naming what was not so, its cause as far as the kernel told it, and what to do.
json prove_mount(const json &args, KernelLog &log);

} // namespace daxbench
