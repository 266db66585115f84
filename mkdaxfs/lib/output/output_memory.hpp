// SPDX-License-Identifier: Apache-2.0
// Outputs that are memory: what this process maps, and what only a mount holds.
#pragma once

#include <memory>
#include <string>

#include "device_dax.hpp"
#include "output.hpp"
#include "physical_range.hpp"

namespace daxfs {

// All of /dev/daxX.Y.
std::unique_ptr<Output> open_device_dax(const std::string &path, bool force);

// A range of physical memory, through /dev/mem.
std::unique_ptr<Output> open_physical(const PhysicalRange &range, bool force);

// A buffer of the dma-buf heap, mounted at the directory by commit(): it lives as long as the
// mount. How large it has to be is known only then, so the image waits in a nameless file.
std::unique_ptr<Output> open_heap(const std::string &heap, const std::string &directory);

} // namespace daxfs
