// SPDX-License-Identifier: Apache-2.0
// One run: from a request to a folder of results.
#pragma once

#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "plan.hpp"
#include "portion.hpp"
#include "world.hpp"

namespace daxbench {

struct RunRequest {
    PlanRequest plan;
    KernelChoice kernel;
    std::optional<NativeOptions> native; ///< --on host
    std::string accel = "auto";
    std::filesystem::path results; ///< folder of all runs; empty: SOURCE/results
    unsigned jobs = 0;             ///< guests at once; 0: cores under TCG, 1 under KVM
    bool keep_guests = false;
    bool dry_run = false;
    int seed = 1; ///< of the order in which cells run
    std::optional<Shard> shard;
    std::string executor = "local";   ///< or "slurm"
    std::filesystem::path resume;     ///< the folder of the run that goes on, or ""
    std::vector<std::string> command; ///< as typed, for the record
};

/// The cells of the request, those of its shard alone, in declared order. Throws as make_plan() does.
std::vector<Cell> cells_of_request(const Catalogue &catalogue, const RunRequest &request);

/// Table and paths go to `out`, progress and errors to `err`; `columns` is the width of the terminal
/// behind `err`, 0 where it is none. Returns 0 when all was measured, else 1 (3: a limit was missed). Throws
/// for what keeps a run from starting.
int run_suite(const Catalogue &catalogue, const RunRequest &request, std::ostream &out, std::ostream &err,
              std::size_t columns);

/// For one job of the executor slurm: measures the cells with these ids of the run in `run_dir`, all one
/// portion, and leaves their documents in `folder`. Returns 0 when each has one.
int run_portion(const Catalogue &catalogue, const RunRequest &request, const std::filesystem::path &run_dir,
                const std::filesystem::path &folder, const std::vector<std::string> &ids, std::ostream &err);

} // namespace daxbench
