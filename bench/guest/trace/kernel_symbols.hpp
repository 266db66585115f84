// SPDX-License-Identifier: Apache-2.0
// Names of the running kernel's routines.
#pragma once

#include "protocol.hpp"

namespace daxbench {

/// {"symbols": "ADDRESS NAME [MODULE]\n…"}: the code in /proc/kallsyms, addresses in hexadecimal.
json kernel_symbols();

/// Tells the plugin what routines mean. ARGS: {"routines": {"asm_exc_page_fault": 2, "asm_sysvec_*": 3}}, a
/// name or its beginning. Throws naming one that this kernel does not have. {"announced": N}.
json announce_routines(const json &args);

} // namespace daxbench
