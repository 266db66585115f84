// SPDX-License-Identifier: Apache-2.0
#include "measurement.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/core.h>

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;
using std::vector;

/// Byte counts and instruction counts are whole; written so, they compare and read better.
json number(double value)
{
    constexpr double exact = 9007199254740992.0; // 2^53
    if (std::nearbyint(value) == value && std::abs(value) < exact)
        return static_cast<std::int64_t>(value);
    return value;
}

/// A duration the guest took with its clock is in the unit that clock really counts.
void set_unit(Measurement &row, const string &unit, const string &clock)
{
    row.unit = unit == "ns" ? clock : unit;
    row.clock = unit == "ns" ? clock : "none";
}

Measurement extra_of(const Measurement &main, const string &metric, const json &extra, const string &clock)
{
    auto row = main;
    row.metric = metric;
    row.per = extra.value("per", "");
    row.counters = json::object();
    row.error.clear();
    row.samples = extra.at("samples").get<vector<double>>();
    set_unit(row, extra.at("unit").get<string>(), clock);
    return row;
}

void append_result(vector<Measurement> &rows, const Cell &cell, const string &workload, const string &clock,
                   const json &result)
{
    auto row = measurement_of(cell, workload, result.value("metric", "cost_per_op"), "");
    row.variant = result.value("variant", "");
    row.cache = result.value("cache", "");
    row.per = result.value("per", "");
    row.operations = result.value("operations", std::int64_t{0});
    row.counters = result.value("counters", json::object());
    row.samples = result.value("samples", vector<double>{});
    set_unit(row, result.value("unit", "ns"), clock);
    // An engine that only counts memory has extras and no main figure.
    row.error = result.value("error", "");
    if (!row.samples.empty() || !row.error.empty())
        rows.push_back(row);
    const auto extras = result.value("extra", json::object());
    for (const auto &[metric, extra] : extras.items())
        rows.push_back(extra_of(row, metric, extra, clock));
}

} // namespace

double median(vector<double> samples)
{
    if (samples.empty())
        throw std::logic_error("median of nothing");
    const auto middle = samples.size() / 2;
    std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(middle), samples.end());
    const double high = samples[middle];
    if (samples.size() % 2 == 1)
        return high;
    const double low =
        *std::max_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(middle));
    return (low + high) / 2;
}

json to_json(const Measurement &row)
{
    auto samples = json::array();
    for (const double sample : row.samples)
        samples.push_back(number(sample));
    json object = {{"experiment", row.experiment},
                   {"workload", row.workload},
                   {"dataset", row.dataset},
                   {"filesystem", row.filesystem},
                   {"kernel", row.kernel},
                   {"instances", row.instances},
                   {"variant", row.variant},
                   {"cache", row.cache},
                   {"metric", row.metric},
                   {"per", row.per},
                   {"unit", row.unit},
                   {"clock", row.clock},
                   {"value", row.samples.empty() ? json() : number(median(row.samples))},
                   {"samples", samples},
                   {"operations", row.operations},
                   {"counters", row.counters}};
    if (row.samples.empty())
        object["error"] = row.error.empty() ? "not measured" : row.error;
    return object;
}

Measurement measurement_of(const Cell &cell, const string &workload, const string &metric, const string &unit)
{
    Measurement row;
    row.experiment = cell.experiment;
    row.workload = workload;
    row.dataset = cell.dataset;
    row.filesystem = cell.filesystem;
    row.instances = cell.instances;
    row.metric = metric;
    row.unit = unit;
    row.clock = "none";
    return row;
}

vector<Measurement> measurements_of(const Cell &cell, const string &workload, const string &clock,
                                    const json &answer)
{
    try {
        vector<Measurement> rows;
        for (const auto &result : answer.at("results"))
            append_result(rows, cell, workload, clock, result);
        if (rows.empty())
            throw std::runtime_error("it has no samples");
        return rows;
    } catch (const std::exception &error) {
        throw std::runtime_error(fmt::format(
            "{}: expected measured samples from the guest agent, got an answer of another form: {}", workload,
            error.what()));
    }
}

} // namespace daxbench
