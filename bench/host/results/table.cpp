// SPDX-License-Identifier: Apache-2.0
#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <fmt/ostream.h>

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;
using std::vector;

struct Row {
    string label;
    string unit;
    std::map<string, json> values; ///< by filesystem; null where there is none
};

struct Section {
    string title;
    vector<Row> rows;
};

string with_separators(long long value)
{
    auto digits = std::to_string(std::llabs(value));
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return value < 0 ? "-" + digits : digits;
}

bool shown(const ExperimentSpec &experiment, const string &metric)
{
    return std::find(experiment.table.begin(), experiment.table.end(), metric) != experiment.table.end();
}

string label_of(const json &row, bool with_metric, bool with_instances)
{
    string label = row.at("dataset").get<string>() + " " + row.at("workload").get<string>();
    for (const char *key : {"variant", "cache"})
        if (!row.at(key).get_ref<const string &>().empty())
            label += " " + row.at(key).get<string>();
    if (with_instances)
        label += fmt::format(" n{}", row.at("instances").get<int>());
    if (with_metric)
        label += " " + row.at("metric").get<string>();
    else if (!row.at("per").get_ref<const string &>().empty())
        label += " /" + row.at("per").get<string>();
    return label;
}

Row &row_named(vector<Row> &rows, const string &label, const string &unit)
{
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const Row &row) { return row.label == label; });
    if (found != rows.end())
        return *found;
    rows.push_back({label, unit, {}});
    return rows.back();
}

Section section_of(const json &results, const ExperimentSpec &experiment)
{
    Section section{experiment.title, {}};
    const bool with_metric = experiment.table != vector<string>{"cost_per_op"};
    for (const auto &row : results.at("measurements")) {
        if (row.at("experiment") != experiment.id || !shown(experiment, row.at("metric").get<string>()))
            continue;
        const auto label = label_of(row, with_metric, experiment.driver == Driver::instances);
        row_named(section.rows, label, row.at("unit")).values[row.at("filesystem").get<string>()] =
            row.at("value");
    }
    return section;
}

vector<string> filesystems_of(const json &results)
{
    vector<string> ids;
    for (const auto &cell : results.at("cells")) {
        const auto id = cell.at("filesystem").get<string>();
        if (std::find(ids.begin(), ids.end(), id) == ids.end())
            ids.push_back(id);
    }
    return ids;
}

std::optional<double> value_at(const Row &row, const string &filesystem)
{
    const auto found = row.values.find(filesystem);
    if (found == row.values.end() || !found->second.is_number())
        return std::nullopt;
    return found->second.get<double>();
}

double lowest(const Row &row)
{
    double low = std::numeric_limits<double>::infinity();
    for (const auto &[filesystem, value] : row.values)
        low = std::min(low, value_at(row, filesystem).value_or(low));
    return low;
}

string cell_text(const Row &row, const string &filesystem)
{
    const auto value = value_at(row, filesystem);
    if (!value)
        return row.values.contains(filesystem) ? "failed " : "- ";
    return value_text(*value, row.unit) + (*value <= lowest(row) ? "*" : " ");
}

void print_section(std::ostream &out, const Section &section, const vector<string> &filesystems)
{
    if (section.rows.empty())
        return;
    std::size_t width = section.title.size();
    std::map<string, std::size_t> columns;
    for (const auto &row : section.rows) {
        width = std::max(width, row.label.size());
        for (const auto &id : filesystems)
            columns[id] = std::max({columns[id], id.size() + 1, cell_text(row, id).size()});
    }
    fmt::print(out, "\n{:<{}}", section.title, width);
    for (const auto &id : filesystems)
        fmt::print(out, "  {:>{}}", id + " ", columns[id]);
    out << '\n';
    for (const auto &row : section.rows) {
        fmt::print(out, "{:<{}}", row.label, width);
        for (const auto &id : filesystems)
            fmt::print(out, "  {:>{}}", cell_text(row, id), columns[id]);
        out << '\n';
    }
}

void print_images(std::ostream &out, const json &results)
{
    if (results.at("images").empty())
        return;
    out << "\nImages\n";
    for (const auto &image : results.at("images"))
        fmt::print(out, "{:<12}  {:<12}  {:>12}  built in {:.2f} s  {}\n", image.at("dataset").get<string>(),
                   image.at("id").get<string>(), value_text(image.at("bytes"), "bytes"),
                   image.at("build_seconds").get<double>(), image.at("tool_version").get<string>());
}

string lost_line(const Row &row, double value, double low, const string &winner)
{
    const auto excess = low > 0 ? fmt::format(", {:.2f} % more", (value / low - 1) * 100) : string();
    return fmt::format("  {}: {} against {} of {}{}", row.label, value_text(value, row.unit),
                       value_text(low, row.unit), winner, excess);
}

/// Who wins where the subject does not, said as plainly as the table says the rest.
void print_verdict(std::ostream &out, const vector<Section> &sections, const string &subject)
{
    std::size_t judged = 0;
    std::size_t won = 0;
    vector<string> lost;
    for (const auto &section : sections) {
        for (const auto &row : section.rows) {
            const auto value = value_at(row, subject);
            if (!value)
                continue;
            ++judged;
            const double low = lowest(row);
            if (*value <= low) {
                ++won;
                continue;
            }
            for (const auto &[filesystem, unused] : row.values)
                if (value_at(row, filesystem) == low)
                    lost.push_back(lost_line(row, *value, low, filesystem));
        }
    }
    if (judged == 0)
        return;
    fmt::print(out, "\n{}: lowest in {} of {} rows{}\n", subject, won, judged,
               lost.empty() ? "" : "; not lowest in:");
    for (const auto &line : lost)
        out << line << '\n';
}

void print_limits(std::ostream &out, const json &limits)
{
    if (limits.empty())
        return;
    out << "\nLimits\n";
    for (const auto &limit : limits) {
        const auto unit = limit.at("unit").get<string>();
        const auto text = [&](const char *key) {
            return limit.at(key).is_null() ? string("not measured")
                                           : value_text(limit.at(key).get<double>(), unit);
        };
        const auto &met = limit.at("met");
        fmt::print(out, "{:<12} {}: {}, at most {}{}\n",
                   met.is_null()     ? "not measured"
                   : met.get<bool>() ? "met"
                                     : "MISSED",
                   limit.at("title").get<string>(), text("value"), text("bound"),
                   limit.at("against").get<string>().empty()
                       ? ""
                       : fmt::format(" ({})", limit.at("against").get<string>()));
    }
}

void print_errors(std::ostream &out, const json &results)
{
    if (results.at("errors").empty())
        return;
    out << "\nCould not be measured\n";
    for (const auto &error : results.at("errors"))
        fmt::print(out, "{}: {}\n", error.at("cell").get<string>(), error.at("error").get<string>());
}

} // namespace

string value_text(double value, const string &unit)
{
    if (unit == "bytes") {
        const double size = std::abs(value);
        if (size >= 1e6)
            return fmt::format("{:.1f} MB", value / 1e6);
        if (size >= 1e4)
            return fmt::format("{:.1f} kB", value / 1e3);
        return fmt::format("{:.0f} B", value);
    }
    if (unit == "ratio")
        return fmt::format("{:.3f}", value);
    if (std::abs(value) < 100)
        return fmt::format("{:.2f}", value);
    return with_separators(std::llround(value));
}

void print_table(std::ostream &out, const json &results, const Catalogue &catalogue)
{
    const auto &suite = catalogue.suites.at(results.at("run").at("suite").get<string>());
    const auto filesystems = filesystems_of(results);
    vector<Section> sections;
    for (const auto &id : suite.experiments)
        sections.push_back(section_of(results, catalogue.experiments.at(id)));
    fmt::print(out, "\nClock: {}. Lower is better in every row; * marks the lowest.\n",
               results.at("environment").at("clock").get<string>());
    for (const auto &section : sections)
        print_section(out, section, filesystems);
    print_images(out, results);
    if (!suite.subject.empty())
        print_verdict(out, sections, suite.subject);
    print_limits(out, results.at("limits"));
    print_errors(out, results);
}

} // namespace daxbench
