// SPDX-License-Identifier: Apache-2.0
// What a cell's figures depend on: recorded in its document, so that cells measured at another time, or on
// another machine, are put together only where they are alike.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "environment.hpp"
#include "world.hpp"

namespace daxbench {

/// Name → text for each input of the cell: "kernel", "module daxfs", "image daxfs/rootfs", …. A name always
/// stands for the same thing, whatever the cell; on an axis of kernels it ends with the kernel's.
nlohmann::json inputs_of(const World &world, const Catalogue &catalogue, const Cell &cell,
                         const GitState &git, const HostEnvironment &host);

/// "kernel: 6.12.1 and 6.12.2" for the first input that both name and that differs; "" where none does.
std::string difference(const nlohmann::json &one, const nlohmann::json &other);

} // namespace daxbench
