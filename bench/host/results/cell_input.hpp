// SPDX-License-Identifier: Apache-2.0
// From the world to what a driver, which does not know it, must be told.
#pragma once

#include "driver.hpp"
#include "world.hpp"

namespace daxbench {

/// Of a cell whose needs are there (why_not() has nothing).
CellInput cell_input(const World &world, const Catalogue &catalogue, const Cell &cell);

} // namespace daxbench
