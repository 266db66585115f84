// SPDX-License-Identifier: Apache-2.0
// GuestHost on real QEMU guests.
#pragma once

#include <filesystem>
#include <memory>

#include "display.hpp"
#include "session.hpp"
#include "world.hpp"

namespace daxbench {

struct GuestHostOptions {
    std::filesystem::path log_root; ///< each cell's logs go to log_root/FILE_NAME
    bool keep = false;              ///< --keep-guests: leave QEMU running after its cell
};

/// `world`, `catalogue` and `display` must outlive it.
std::unique_ptr<GuestHost> make_guest_host(const World &world, const Catalogue &catalogue, Display &display,
                                           GuestHostOptions options);

} // namespace daxbench
