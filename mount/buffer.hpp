// SPDX-License-Identifier: Apache-2.0
// dma-bufs made by the kernel's exporters, filled with an image.
#pragma once

#include "mount_options.hpp"
#include "unique_fd.hpp"

namespace daxfs {

// A dma-buf of the exporter that options name, with the bytes of options.image in it. Nothing else
// of it stays: when the descriptor is closed and nothing has it mounted, its memory is free again.
UniqueFd make_buffer(const MountOptions &options);

// /dev/dma_heap/NAME, to see that it is there.
UniqueFd open_heap_device(const std::string &name);

// A dma-buf of this heap and this name, with the bytes of an open file in it.
UniqueFd make_heap_buffer(const std::string &heap, UniqueFd image, const std::string &name);

} // namespace daxfs
