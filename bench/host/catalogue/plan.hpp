// SPDX-License-Identifier: Apache-2.0
// From what is declared and what was asked for to the ordered list of cells.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "spec.hpp"

namespace daxbench {

/// One self-contained unit of measuring: it names all that it needs, and runs, fails and is
/// repeated on its own.
struct Cell {
    std::string id; ///< EXPERIMENT/DATASET/FILESYSTEM/nINSTANCES[/KERNEL]
    std::string experiment;
    std::string dataset;
    std::string filesystem; ///< driver build: the image
    int instances = 1;
    /// Names of kernels, as in World::kernels; none: the run's own. With several, guest i boots the
    /// (i modulo their number)th.
    std::vector<std::string> kernels = {};
    int boots = 1; ///< driver instances: how often its guests are booted, a sample each
    Driver driver = Driver::single;
    ClockKind clock = ClockKind::none;
    std::string other_dataset;             ///< driver hostile: whose image is swapped in
    bool model = false;                    ///< driver traced: caches and TLBs are modelled, too
    int memory_mib = 0;                    ///< of each guest
    int cpus = 1;                          ///< of each under KVM
    int emulated_cpus = 1;                 ///< of each under TCG
    std::optional<ToolsSpec> tools;        ///< beside the data, in place of the tools image
    int timeout_s = 0;                     ///< for each single step
    double estimate_s = 0;                 ///< of the whole cell, rough
    std::vector<nlohmann::json> workloads; ///< as the agent gets them, overrides applied

    /// The name of guest number `instance`'s kernel, counted on through all boots; "" for the run's own.
    std::string kernel_of(int instance) const
    {
        return kernels.empty() ? ""
                               : kernels[static_cast<std::size_t>(instance % instances) % kernels.size()];
    }
};

struct PlanRequest {
    std::string suite;
    std::string profile = "default";
    std::vector<std::string> filesystems;  ///< empty: all
    std::string only;                      ///< fnmatch(3) pattern on cell ids, "" for all
    std::vector<std::string> kernels = {}; ///< in place of those declared; empty: as declared
};

/// Cells in declared order: experiment, dataset, instances, filesystem, kernel. Throws
/// std::runtime_error where the request names something that is not declared or nothing is left.
std::vector<Cell> make_plan(const Catalogue &catalogue, const PlanRequest &request);

/// The cell of that id, of any experiment, as the default of its profiles; throws naming the experiments, or
/// the experiment's cells, where there is none.
Cell find_cell(const Catalogue &catalogue, const std::string &id);

/// Seconds for all cells when `jobs` guests run at once.
double estimate_seconds(const std::vector<Cell> &cells, unsigned jobs);

nlohmann::json to_json(const Cell &cell);

/// The id as a file name: "/" becomes "_".
std::string file_name_of(const std::string &cell_id);

} // namespace daxbench
