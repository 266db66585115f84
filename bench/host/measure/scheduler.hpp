// SPDX-License-Identifier: Apache-2.0
// Running cells beside each other without their getting into each other's way.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace daxbench {

struct Job {
    unsigned guests = 1;            ///< slots it takes
    std::uint64_t memory_bytes = 0; ///< of all its guests
    std::string resource;           ///< what it reads, e.g. an image's path
    /// Nothing else may use the resource meanwhile: the host's PSS of an image is divided among
    /// all that map it, other cells included.
    bool exclusive = false;
    std::function<void()> run; ///< must not throw; called in a thread of its own
};

struct JobLimits {
    unsigned slots = 1;
    std::uint64_t memory_bytes = 0;
};

/// Runs all jobs, earlier ones first where they fit; a job that needs more slots than there are
/// runs alone. Returns when all have ended. When `stop` turns true no further job is started;
/// `tick` is called from this thread about twice a second. Jobs that need more memory than the
/// limit are never started; their indexes, and of those not started after `stop`, are returned.
std::vector<std::size_t> run_jobs(const std::vector<Job> &jobs, const JobLimits &limits,
                                  const std::function<bool()> &stop, const std::function<void()> &tick);

} // namespace daxbench
