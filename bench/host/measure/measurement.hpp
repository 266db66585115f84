// SPDX-License-Identifier: Apache-2.0
// One row of results.json, and how the agent's answers become rows.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "plan.hpp"

namespace daxbench {

/// Units and clocks are those results/schema.json enumerates.
struct Measurement {
    std::string experiment;
    std::string workload;
    std::string dataset;
    std::string filesystem;
    std::string kernel; ///< release of the guest's; "": of the cell's (the run fills it in), or no guest
    int instances = 1;
    std::string variant; ///< "shared", "private" or ""
    std::string cache;   ///< "warm", "cold" or ""
    std::string metric;
    std::string per; ///< "op", "page", "MiB" or ""
    std::string unit;
    std::string clock; ///< "instructions", "ns", "none", "host-wall" or "host-cpu"
    std::vector<double> samples;
    std::int64_t operations = 0; ///< in each sample; 0 where it means nothing
    nlohmann::json counters = nlohmann::json::object();
    std::string error; ///< why there is no value; "" when there is one
};

/// The median; the mean of the middle two for an even count. `samples` must not be empty.
double median(std::vector<double> samples);

nlohmann::json to_json(const Measurement &measurement);

/// A row with the cell's names filled in.
Measurement measurement_of(const Cell &cell, const std::string &workload, const std::string &metric,
                           const std::string &unit);

/// Rows of one `run` answer, {"results": [...]}. `clock` is what a nanosecond of the guest's clock
/// stands for: "instructions" or "ns". Throws std::runtime_error where the answer is not as agreed.
std::vector<Measurement> measurements_of(const Cell &cell, const std::string &workload,
                                         const std::string &clock, const nlohmann::json &answer);

} // namespace daxbench
