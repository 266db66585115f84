// SPDX-License-Identifier: Apache-2.0
// Measuring cells in this process: each leaves its document in a folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "build_driver.hpp"
#include "display.hpp"
#include "environment.hpp"
#include "guest_host.hpp"
#include "portion.hpp"
#include "scheduler.hpp"
#include "world.hpp"

namespace daxbench {

struct RunnerOptions {
    std::filesystem::path cells; ///< folder of the documents
    std::filesystem::path logs;  ///< each cell's logs go below it
    unsigned jobs = 0;           ///< guests at once; 0: cores under TCG, 1 otherwise
    bool keep_guests = false;
};

/// All that is handed in must outlive it.
class CellRunner {
public:
    CellRunner(const World &world, const Catalogue &catalogue, const HostEnvironment &host,
               const GitState &git, Display &display, RunnerOptions options)
        : world_(world), catalogue_(catalogue), host_(host), git_(git), display_(display),
          options_(std::move(options))
    {
    }

    /// Earlier ones first where they fit beside each other. Every cell that was reached has its document
    /// afterwards. Throws Interrupted on Ctrl-C.
    void run(const std::vector<Portion> &portions);

    void record_failure(const Cell &cell, const std::string &reason) { record(cell, "failed", reason); }

private:
    JobLimits limits() const;
    Job job_of(const Portion &portion, GuestHost &host, unsigned slots);
    void run_one(const Cell &cell, GuestHost &host);
    void run_builds(const std::vector<Cell> &cells);
    void record(const Cell &cell, const std::string &status, const std::string &reason);
    void record(const Cell &cell, const CellResult &result);

    const World &world_;
    const Catalogue &catalogue_;
    const HostEnvironment &host_;
    const GitState &git_;
    Display &display_;
    const RunnerOptions options_;
};

/// RAM of all the cell's guests.
std::uint64_t memory_of(const Cell &cell);

} // namespace daxbench
