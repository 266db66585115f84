// SPDX-License-Identifier: Apache-2.0
// Memory that has no block device: a device-dax, or a dma-buf that mount.daxfs fills with the image.
#pragma once

#include <string>

namespace daxbench {

/// Whether SOURCE names such memory: "cxl", "device-dax", "fsdev-dax", "dma-heap", "udmabuf" or "drm".
bool is_memory_source(const std::string &source);

struct PreparedMemory {
    std::string source;  ///< what mount(2) or mount.daxfs is given
    std::string options; ///< beside those of the declaration; of mount.daxfs
};

/// Makes the memory ready. Throws where a device or driver is missing.
PreparedMemory prepare_memory(const std::string &source);

/// Runs mount.daxfs on TARGET, which is there. Throws with its words.
void mount_by_helper(const PreparedMemory &memory, const std::string &options, const std::string &target);

} // namespace daxbench
