// SPDX-License-Identifier: Apache-2.0
// The end of a run: results.json, the report beside it, and what the terminal shows.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>

#include <nlohmann/json.hpp>

#include "display.hpp"
#include "results.hpp"

namespace daxbench {

/// A new folder STAMP-SUITE below `root`, which two runs of one suite in the same second do not share.
std::filesystem::path make_run_dir(const std::filesystem::path &root, const std::string &suite,
                                   std::chrono::system_clock::time_point when);

/// Writes the results; unless interrupted also report and figures. Returns the table for the terminal, ""
/// where there is none. A complete run that is whole becomes results/latest.
std::string publish(const std::filesystem::path &run_dir, const nlohmann::json &results, const Paths &paths,
                    Display &display);

void print_paths(std::ostream &out, const std::filesystem::path &run_dir);

/// As the manual says: 1 where something was not measured or shown, 3 where a limit was missed.
int exit_status(const nlohmann::json &results, bool shown);

} // namespace daxbench
