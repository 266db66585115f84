// SPDX-License-Identifier: Apache-2.0
// perf events around a piece of work, by the names libpfm4 knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io.hpp"
#include "protocol.hpp"

namespace daxbench {

/// Counts for this process and the children it starts meanwhile. Software events are there always;
/// hardware events only where the guest has a PMU, otherwise the reason is kept.
class PerfCounters {
public:
    /// Opens every event, stopped. Until it is destroyed the kernel does a little more work at
    /// each fault, so it must not live while something is timed.
    PerfCounters();

    void start();
    void stop();
    /// Adds what was counted from start to stop to RESULT, as RESULT[name] = [count…], or
    /// {"unavailable": why}.
    void add_to(json &result) const;

private:
    struct Event {
        std::string name; // as published
        UniqueFd fd;
        std::string unavailable;
    };
    std::vector<Event> events_;
};

} // namespace daxbench
