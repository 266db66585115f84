// SPDX-License-Identifier: Apache-2.0
// From cells' own files to results.json. A cell's file is enough to put the cell into a run again,
// so that cells measured elsewhere, or before an interruption, can be merged.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "driver.hpp"
#include "environment.hpp"
#include "run_record.hpp"
#include "world.hpp"

namespace daxbench {

struct RunInfo {
    std::string id;
    std::string suite;
    std::string title;
    std::string profile;
    std::string started; ///< ISO 8601, UTC
    std::vector<std::string> command;
    int seed = 1;             ///< of the order in which cells ran
    std::string subject = {}; ///< the filesystem that is judged, or ""
    std::string shard = {};   ///< "1/3"; "": the run is whole
    std::string executor = "local";
    std::vector<Resumption> resumed = {};
    std::vector<MergedRun> merged = {};
};

/// "2026-11-22T16:50:00Z" and "20261122-165000".
std::string iso_time(std::chrono::system_clock::time_point when);
std::string stamp(std::chrono::system_clock::time_point when);
/// A new folder STAMP-NAME below `root`; one that is there already makes the stamp a second later.
std::filesystem::path stamped_folder(const std::filesystem::path &root, const std::string &name,
                                     std::chrono::system_clock::time_point when);

/// Content of cells/ID.json. `log` is relative to the run's folder.
nlohmann::json cell_document(const Cell &cell, const CellResult &result, const std::string &log);

/// environment{} of results.json. `world` may be null where the run stopped before there was one;
/// `cells` are cell documents (for the guest's own words and an example command).
nlohmann::json environment_document(const HostEnvironment &host, const GitState &git, const World *world,
                                    const std::vector<nlohmann::json> &cells);

/// Of runs that are put together: the first one's, with the kernels, modules and tools of all; what guests
/// said is taken from `cells`.
nlohmann::json merged_environment(const std::vector<nlohmann::json> &environments,
                                  const std::vector<nlohmann::json> &cells);

struct Composition {
    const Catalogue *catalogue = nullptr; ///< what ids stand for; must be set
    RunInfo run;
    double seconds = 0;
    bool interrupted = false;
    nlohmann::json environment;
    std::vector<Dataset> datasets;
    std::vector<Image> images;
    nlohmann::json dataset_rows = nlohmann::json::array(); ///< more, as results.json has them
    nlohmann::json image_rows = nlohmann::json::array();
    std::vector<nlohmann::json> cells; ///< cell documents, in order
    std::vector<LimitSpec> limits;     ///< of the suite
};

/// results.json. Status is complete when every cell is ok.
nlohmann::json compose(const Composition &parts);

/// Reads the run's cell documents for the cells named, in that order; those without a file are
/// left out.
std::vector<nlohmann::json> read_cells(const std::filesystem::path &run_dir, const std::vector<Cell> &cells);

/// Writes results.json aside, has `analysis/validate.py` check it against `results/schema.json`,
/// then gives it its name. Throws what the validator said. An interrupted run is not validated:
/// Ctrl-C must end, and every wait ends with it.
void write_results(const std::filesystem::path &run_dir, const nlohmann::json &results, const Paths &paths);

/// results/latest → the run, replaced in one step.
void point_latest_at(const std::filesystem::path &run_dir);

} // namespace daxbench
