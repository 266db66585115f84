// SPDX-License-Identifier: Apache-2.0
// run-bench explain: one or two cells under the plugin.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "world.hpp"

namespace daxbench {

struct ExplainRequest {
    std::vector<std::string> cells; ///< one or two ids
    std::string workload;           ///< empty: the cell's only one
    std::string cache;              ///< empty: the workload's first
    std::string variant;            ///< empty: the workload's first
    std::string format = "table";
    bool model = false;   ///< caches and TLBs, too
    std::size_t top = 40; ///< lines of a table; 0: all
    KernelChoice kernel;
    std::filesystem::path results; ///< folder of all runs; empty: SOURCE/results
};

/// The cells with one workload each, to be traced; throws where the request does not say which.
std::vector<Cell> explained_cells(const Catalogue &catalogue, const ExplainRequest &request);

/// Runs them and prints; files go below a folder of its own, which is named on `err`. Returns the exit
/// status.
int explain(const Catalogue &catalogue, const ExplainRequest &request, std::ostream &out, std::ostream &err,
            std::size_t columns);

} // namespace daxbench
