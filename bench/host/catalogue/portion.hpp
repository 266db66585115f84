// SPDX-License-Identifier: Apache-2.0
// Cells that are measured together, the order in which they run, and their division among machines.
#pragma once

#include <string>
#include <vector>

#include "plan.hpp"

namespace daxbench {

/// What one process measures at a time: a cell with guests, or all cells of image tools of one experiment and
/// dataset, which take turns.
using Portion = std::vector<Cell>;

/// In the order of their first cells.
std::vector<Portion> portions_of(const std::vector<Cell> &cells);

/// The order of execution: shuffled by the seed, so that no filesystem always follows the same other one.
/// Where a portion comes depends on the seed and its first cell's id alone.
std::vector<Portion> shuffled(std::vector<Portion> portions, int seed);

/// Part `index`, from 1, of `of` parts.
struct Shard {
    unsigned index = 1;
    unsigned of = 1;
};

/// "2/3"; throws one line for anything else.
Shard parse_shard(const std::string &text);
std::string to_text(const Shard &shard);

/// The shard's cells in declared order. Every shard has whole portions, their estimates about equal; the same
/// cells are always divided alike.
std::vector<Cell> cells_of_shard(const std::vector<Cell> &cells, const Shard &shard);

} // namespace daxbench
