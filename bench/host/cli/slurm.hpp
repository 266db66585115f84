// SPDX-License-Identifier: Apache-2.0
// Commands as jobs of Slurm (sbatch, squeue, scancel), started again where their node was lost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "process.hpp"

namespace daxbench {

struct SlurmJob {
    std::string what;                         ///< for people
    std::function<Argv(int attempt)> command; ///< attempt counts from 1
    /// Takes the attempt's result over; false where it is not there, or not whole.
    std::function<bool(int attempt)> take;
    /// Called once, when it has ended: "" with a result, else the reason why there is none.
    std::function<void(const std::string &reason)> end;
    unsigned cpus = 1;
    std::uint64_t memory_mib = 0;
    bool exclusive = false; ///< nothing of others on its node
    std::filesystem::path log;
};

struct SlurmOptions {
    std::string name;     ///< of all its jobs: by it they are found, and cancelled
    unsigned at_once = 0; ///< jobs submitted at a time; 0: 200
    int attempts = 3;     ///< of a job that ends without a result
    Seconds poll{1};
    Seconds grace{5};     ///< until a result written on another machine must be seen here
    Seconds silence{300}; ///< squeue may fail so long
};

/// Runs all jobs to their ends. `say` gets one line for each that is started again; `tick` is called at each
/// poll. Throws where Slurm is not there or stops answering, and Interrupted on Ctrl-C; whatever it throws,
/// its jobs are cancelled before.
void run_on_slurm(const std::vector<SlurmJob> &jobs, const SlurmOptions &options,
                  const std::function<void(const std::string &)> &say, const std::function<void()> &tick);

} // namespace daxbench
