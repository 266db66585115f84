// SPDX-License-Identifier: Apache-2.0
// Memory that is mounted by mount.daxfs: a device-dax, or a dma-buf that it fills with the image.
#pragma once

#include <string>

namespace daxbench {

/// Whether SOURCE names such memory: "cxl", "device-dax", "fsdev-dax", "dma-heap", "udmabuf" or "drm".
bool is_memory_source(const std::string &source);

/// Makes the memory ready and runs mount.daxfs on TARGET, which is there. Throws with its words.
void mount_memory(const std::string &source, const std::string &options, const std::string &target);

} // namespace daxbench
