// SPDX-License-Identifier: Apache-2.0
// One function for each engine a workload can name. Each returns the protocol's answer to "run":
// {"results": [{"variant", "cache", "metric", "per", "unit", "samples": [one for each repetition],
// "operations", "counters", "extra"}…], "raw": …}. Durations are in ns of CLOCK_MONOTONIC.
#pragma once

#include <functional>
#include <string>

#include "protocol.hpp"

namespace daxbench {

/// Told to the host between measurements.
using Progress = std::function<void(const std::string &)>;

struct RunRequest {
    std::string target; // where the file system is mounted
    json workload = json::object();
    std::uint64_t seed = 1;
    /// One more pass of each result, between marks for QEMU's plugin: its "marked", {"section": number of the
    /// section, "ns": of the pass, "units": what it is divided by}. Engines benchmark and program.
    bool mark = false;
    Progress progress;
    /// Loads a file system's modules, when they are not there yet.
    std::function<void(const std::string &)> load;
    /// Mounts TARGET as it was mounted at first; fills it, where its data is the guest's memory.
    std::function<void()> mount_anew;
};

json run_abilities_engine(const RunRequest &request);
json run_benchmark_engine(const RunRequest &request);
json run_concurrent_engine(const RunRequest &request);
json run_memory_return_engine(const RunRequest &request);
json run_pressure_engine(const RunRequest &request);
json run_compute_engine(const RunRequest &request);
json run_program_engine(const RunRequest &request);
json run_map_rss_engine(const RunRequest &request);
json run_fio_engine(const RunRequest &request);
json run_read_all_engine(const RunRequest &request);
json run_frames_engine(const RunRequest &request);
json run_inode_slab_engine(const RunRequest &request);
json run_survive_engine(const RunRequest &request);
json run_page_tables_engine(const RunRequest &request);
json run_calibration_engine(const RunRequest &request);
json run_allocations_engine(const RunRequest &request);
json run_container_engine(const RunRequest &request);
json run_containers_engine(const RunRequest &request);
json run_layers_engine(const RunRequest &request);

/// By WORKLOAD's "engine"; throws naming those there are.
json run_workload(const RunRequest &request);

} // namespace daxbench
