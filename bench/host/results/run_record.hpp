// SPDX-License-Identifier: Apache-2.0
// RUN/run.json: what a run is, written before anything is measured, so that one that was stopped, in whatever
// way, can be continued, and runs can be put together.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "files.hpp"

namespace daxbench {

/// A run that was stopped went on.
struct Resumption {
    std::string at; ///< ISO 8601, UTC
    int kept = 0;   ///< finished cells that were not touched
};

/// A run that this one was made of.
struct MergedRun {
    std::string id;
    int cells = 0; ///< taken from it
};

struct RunRecord {
    std::string id;
    std::string suite;
    std::string started;              ///< ISO 8601, UTC
    std::vector<std::string> command; ///< arguments as typed, without the program
    std::string folder;               ///< where it was typed: relative paths are relative to it
    std::string accelerator;          ///< "" until it is known
    double seconds = 0;               ///< of all sessions that ended
    std::vector<Resumption> resumed;
    std::vector<MergedRun> merged;
};

nlohmann::json to_json(const RunRecord &record);

/// Throws one line where the folder has none.
RunRecord read_record(const std::filesystem::path &run_dir);
void write_record(const std::filesystem::path &run_dir, const RunRecord &record);

/// Holds a run's folder against a second bench; throws one line where another one works in it.
class RunLock {
public:
    explicit RunLock(const std::filesystem::path &run_dir);

private:
    Fd fd_;
};

} // namespace daxbench
