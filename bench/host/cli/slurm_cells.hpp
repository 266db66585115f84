// SPDX-License-Identifier: Apache-2.0
// Portions of a run as jobs of Slurm. All machines must see the run's folder, the cache, and the tree with
// its build folder, under the same paths.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "display.hpp"
#include "environment.hpp"
#include "portion.hpp"
#include "world.hpp"

namespace daxbench {

struct SlurmRun {
    std::filesystem::path dir; ///< of the run
    std::string id;
    unsigned at_once = 0; ///< jobs submitted at a time; 0: as many as Slurm takes
    const GitState &git;
    const HostEnvironment &host;
};

/// Every cell has its document afterwards, measured on what `world` has, or failed with the reason. Throws as
/// run_on_slurm() does.
void run_cells_on_slurm(const World &world, const Catalogue &catalogue, const SlurmRun &run,
                        const std::vector<Portion> &portions, Display &display);

} // namespace daxbench
