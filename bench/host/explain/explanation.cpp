// SPDX-License-Identifier: Apache-2.0
#include "explanation.hpp"

#include <algorithm>
#include <cmath>

namespace daxbench {

using nlohmann::json;

const char *const model_parameters = "lines of 64 bytes; L1 of 32 KiB in 8 ways for code and for data, L2 of "
                                     "1 MiB in 16 ways; TLBs of 64 entries in "
                                     "4 ways for code and for data, then 1,536 in 12 ways; all empty at "
                                     "first, least recently used leaves, nothing "
                                     "fetched ahead, no page walks. The page size of a mapping cannot be "
                                     "seen: bounds are every page 4 KiB and every "
                                     "page 2 MiB.";

Explanation explain_rows(std::vector<Explained> rows)
{
    std::map<std::pair<Routine, PhaseName>, std::pair<double, double>> lines;
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (const auto &[key, count] : rows[i].counts)
            (i == 0 ? lines[key].first : lines[key].second) += static_cast<double>(count) / rows[i].units;
    Explanation explanation;
    for (const auto &[key, values] : lines)
        explanation.lines.push_back({key.first, key.second, values.first, values.second});
    std::ranges::stable_sort(explanation.lines, std::greater<>(),
                             [](const auto &line) { return std::abs(line.a - line.b); });
    explanation.rows = std::move(rows);
    return explanation;
}

double counted(const Explained &row)
{
    double sum = 0;
    for (const auto &[key, count] : row.counts)
        sum += static_cast<double>(count);
    return sum / row.units;
}

double counted_in_user_space(const Explained &row)
{
    double sum = 0;
    for (const auto &[key, count] : row.counts)
        if (key.first == user_space)
            sum += static_cast<double>(count);
    return sum / row.units;
}

json to_json(const Explanation &explanation)
{
    auto rows = json::array();
    for (const auto &row : explanation.rows)
        rows.push_back({{"cell", row.cell},
                        {"workload", row.workload},
                        {"variant", row.variant},
                        {"cache", row.cache},
                        {"per", row.per},
                        {"unit", "instructions"},
                        {"units", row.units},
                        {"counted", counted(row)},
                        {"user_space", counted_in_user_space(row)},
                        {"guest_clock", row.clock / row.units},
                        {"row", row.row},
                        {"model", row.model}});
    auto lines = json::array();
    for (const auto &line : explanation.lines) {
        json one = {{"function", line.routine.name},
                    {"module", line.routine.module},
                    {"part", line.phase.part},
                    {"entry", line.phase.entry},
                    {"a", line.a}};
        if (explanation.rows.size() > 1)
            one["b"] = line.b;
        lines.push_back(std::move(one));
    }
    return {{"kernel", explanation.kernel},
            {"clock", "instructions"},
            {"rows", rows},
            {"lines", lines},
            {"model_parameters", model_parameters}};
}

} // namespace daxbench
