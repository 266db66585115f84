// SPDX-License-Identifier: Apache-2.0
// GuestHost without guests: the agent runs on this machine, as root, below a mount namespace of its own.
#pragma once

#include <memory>

#include "display.hpp"
#include "session.hpp"
#include "world.hpp"

namespace daxbench {

/// For --on host; `world.native` must be set. All must outlive it. When a session ends, nothing is mounted
/// and no module is loaded that was not before.
std::unique_ptr<GuestHost> make_native_host(const World &world, const Catalogue &catalogue, Display &display);

} // namespace daxbench
