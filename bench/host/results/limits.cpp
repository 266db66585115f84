// SPDX-License-Identifier: Apache-2.0
#include "limits.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;
using std::vector;

bool matches(const json &measurement, const json &row)
{
    for (const auto &[key, value] : row.items())
        if (measurement.at(key) != value)
            return false;
    return true;
}

/// The rows; empty where one of them has no value, since then there is nothing to judge.
vector<const json *> rows_like(const json &measurements, const json &row)
{
    vector<const json *> found;
    for (const auto &measurement : measurements) {
        if (!matches(measurement, row))
            continue;
        if (measurement.at("value").is_null())
            return {};
        found.push_back(&measurement);
    }
    return found;
}

bool cheaper(const json *one, const json *other)
{
    return one->at("value").get<double>() < other->at("value").get<double>();
}

string name_of_row(const json &measurement)
{
    string name;
    for (const char *key : {"dataset", "workload", "variant", "cache", "filesystem"})
        if (const auto text = measurement.at(key).get<string>(); !text.empty())
            name += (name.empty() ? "" : " ") + text;
    return name;
}

json with_metric(json row)
{
    if (!row.contains("metric"))
        row["metric"] = "cost_per_op";
    return row;
}

/// The rows that a relative limit is taken from.
vector<json> rival_rows(const LimitSpec &limit)
{
    auto row = with_metric(limit.row);
    if (!limit.against.is_null())
        row.update(limit.against);
    if (limit.rivals.empty())
        return {row};
    vector<json> rows;
    for (const auto &rival : limit.rivals) {
        row["filesystem"] = rival;
        rows.push_back(row);
    }
    return rows;
}

/// The cheapest rival; nothing where one of them was not measured.
const json *best_rival(const LimitSpec &limit, const json &measurements)
{
    const json *best = nullptr;
    for (const auto &row : rival_rows(limit)) {
        const auto found = rows_like(measurements, row);
        if (found.empty())
            return nullptr;
        const auto *lowest = *std::min_element(found.begin(), found.end(), cheaper);
        if (best == nullptr || cheaper(lowest, best))
            best = lowest;
    }
    return best;
}

/// The guests' kernels, each once.
std::set<string> kernels_of(const json &measurements)
{
    std::set<string> kernels;
    for (const auto &row : measurements)
        if (const auto kernel = row.value("kernel", ""); !kernel.empty())
            kernels.insert(kernel);
    return kernels;
}

/// Its rows, and those of no kernel, such as images' sizes.
json rows_of_kernel(const json &measurements, const string &kernel)
{
    auto rows = json::array();
    for (const auto &row : measurements)
        if (const auto other = row.value("kernel", ""); other.empty() || other == kernel)
            rows.push_back(row);
    return rows;
}

json judge(const LimitSpec &limit, const json &measurements)
{
    json verdict = {{"title", limit.title}, {"row", ""},     {"value", nullptr}, {"bound", nullptr},
                    {"unit", ""},           {"against", ""}, {"met", nullptr}};
    const auto rows = rows_like(measurements, with_metric(limit.row));
    if (!rows.empty()) {
        const auto &worst = **std::max_element(rows.begin(), rows.end(), cheaper);
        verdict["row"] = name_of_row(worst);
        verdict["value"] = worst.at("value");
        verdict["unit"] = worst.at("unit");
    }
    if (limit.at_most) {
        verdict["bound"] = *limit.at_most;
    } else if (const auto *rival = best_rival(limit, measurements)) {
        verdict["bound"] = rival->at("value").get<double>() * limit.times;
        verdict["against"] =
            limit.times == 1 ? name_of_row(*rival) : fmt::format("{} × {}", limit.times, name_of_row(*rival));
    }
    if (!verdict["value"].is_null() && !verdict["bound"].is_null())
        verdict["met"] = verdict["value"].get<double>() <= verdict["bound"].get<double>();
    return verdict;
}

} // namespace

json judge_limits(const vector<LimitSpec> &limits, const json &measurements)
{
    auto verdicts = json::array();
    const auto kernels = kernels_of(measurements);
    for (const auto &limit : limits) {
        if (kernels.size() < 2) {
            verdicts.push_back(judge(limit, measurements));
            continue;
        }
        for (const auto &kernel : kernels) {
            auto verdict = judge(limit, rows_of_kernel(measurements, kernel));
            verdict["title"] = fmt::format("{}, {}", limit.title, kernel);
            verdicts.push_back(std::move(verdict));
        }
    }
    return verdicts;
}

} // namespace daxbench
