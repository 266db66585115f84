// SPDX-License-Identifier: Apache-2.0
// One run: from a request to a folder of results.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "plan.hpp"
#include "world.hpp"

namespace daxbench {

struct RunRequest {
    PlanRequest plan;
    KernelChoice kernel;
    std::string accel = "auto";
    std::filesystem::path results; ///< folder of all runs; empty: SOURCE/results
    unsigned jobs = 0;             ///< guests at once; 0: cores under TCG, 1 under KVM
    bool keep_guests = false;
    bool dry_run = false;
    std::vector<std::string> command; ///< as typed, for the record
};

/// Table and paths go to `out`, progress and errors to `err`; `columns` is the width of the terminal
/// behind `err`, 0 where it is none. Returns 0 when all was measured, else 1. Throws for what keeps
/// a run from starting.
int run_suite(const Catalogue &catalogue, const RunRequest &request, std::ostream &out, std::ostream &err,
              std::size_t columns);

} // namespace daxbench
