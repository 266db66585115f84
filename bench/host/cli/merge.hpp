// SPDX-License-Identifier: Apache-2.0
// One run of several: shards, single cells, or machines.
#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <vector>

#include "run.hpp"

namespace daxbench {

/// What a run's recorded command asked for, and the declarations that it read.
struct RecordedRun {
    RunRequest request;
    Catalogue catalogue;
};
using ReadRun = std::function<RecordedRun(const std::filesystem::path &run_dir)>;

/// Makes a new run below `results` of the finished cells of `runs`, whose folders stay. Runs of other plans,
/// or with other inputs, are refused in one line, and a cell that two of them measured. Cells that none has
/// are named, are errors of the run, and can be measured by resuming it. Returns and prints as run_suite()
/// does.
int merge_runs(const std::vector<std::filesystem::path> &runs, const ReadRun &read,
               const std::filesystem::path &results, std::ostream &out, std::ostream &err,
               std::size_t columns);

} // namespace daxbench
