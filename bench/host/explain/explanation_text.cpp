// SPDX-License-Identifier: Apache-2.0
// An explanation as text: tables for people, CSV and JSON for programs.
#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "explanation.hpp"

namespace daxbench {
namespace {

using std::string;
using std::vector;

struct Table {
    vector<string> head;
    vector<vector<string>> lines;
};

string number(double value)
{
    if (std::abs(value) < 100 && value != std::nearbyint(value))
        return fmt::format("{:.2f}", value);
    string digits = fmt::format("{:.0f}", std::abs(value));
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return (value <= -0.5 ? "-" : "") + digits;
}

string name_of(const Routine &routine)
{
    return routine.module.empty() ? routine.name : fmt::format("{} [{}]", routine.name, routine.module);
}

string padded(const string &text, std::size_t width, bool left)
{
    return left ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

/// The first two columns are words.
string as_plain(const Table &table)
{
    vector<std::size_t> widths;
    for (std::size_t i = 0; i < table.head.size(); ++i) {
        widths.push_back(table.head[i].size());
        for (const auto &line : table.lines)
            widths[i] = std::max(widths[i], line[i].size());
    }
    string text;
    const auto add = [&](const vector<string> &line) {
        string row;
        for (std::size_t i = 0; i < line.size(); ++i)
            row += (i ? "  " : "") + padded(line[i], widths[i], i < 2);
        text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
    };
    add(table.head);
    for (const auto &line : table.lines)
        add(line);
    return text;
}

string as_markdown(const Table &table)
{
    string text = fmt::format("| {} |\n|", fmt::join(table.head, " | "));
    for (std::size_t i = 0; i < table.head.size(); ++i)
        text += i < 2 ? "---|" : "---:|";
    text += '\n';
    for (const auto &line : table.lines)
        text += fmt::format("| {} |\n", fmt::join(line, " | "));
    return text;
}

/// Values of one line of a table: of one row, or of both and their difference.
void add_line(Table &table, const Explanation &explanation, const string &first, const string &second,
              double a, double b)
{
    vector<string> line{first, second, number(a)};
    if (explanation.rows.size() > 1) {
        line.push_back(number(b));
        line.push_back(number(a - b));
    }
    table.lines.push_back(std::move(line));
}

vector<string> value_heads(const Explanation &explanation)
{
    return explanation.rows.size() > 1 ? vector<string>{"A", "B", "A - B"} : vector<string>{"A"};
}

Table make_table(const Explanation &explanation, const string &first, const string &second)
{
    Table table{{first, second}, {}};
    const auto heads = value_heads(explanation);
    table.head.insert(table.head.end(), heads.begin(), heads.end());
    return table;
}

/// Where a program's life was not taken apart there is one part only, which is not named.
string phase_text(const PhaseName &phase, bool parts)
{
    return parts ? phase.part + "/" + phase.entry : phase.entry;
}

bool has_parts(const Explanation &explanation)
{
    return std::ranges::any_of(explanation.lines,
                               [](const auto &line) { return line.phase.part != "start"; });
}

Table by_function(const Explanation &explanation, std::size_t top)
{
    const bool parts = has_parts(explanation);
    auto table = make_table(explanation, "function", "phase");
    ExplainedLine rest;
    std::size_t more = 0;
    for (std::size_t i = 0; i < explanation.lines.size(); ++i) {
        const auto &line = explanation.lines[i];
        if (top && i >= top) {
            rest.a += line.a;
            rest.b += line.b;
            ++more;
        } else {
            add_line(table, explanation, name_of(line.routine), phase_text(line.phase, parts), line.a,
                     line.b);
        }
    }
    if (more)
        add_line(table, explanation, fmt::format("{} more", more), "", rest.a, rest.b);
    return table;
}

Table by_phase(const Explanation &explanation)
{
    const bool parts = has_parts(explanation);
    std::map<std::pair<string, string>, ExplainedLine> sums;
    for (const auto &line : explanation.lines) {
        auto &sum =
            sums[{line.routine == user_space ? "user space" : "kernel", phase_text(line.phase, parts)}];
        sum.a += line.a;
        sum.b += line.b;
    }
    auto table = make_table(explanation, "where", "phase");
    for (const auto &[key, sum] : sums)
        add_line(table, explanation, key.first, key.second, sum.a, sum.b);
    return table;
}

Table sums(const Explanation &explanation)
{
    auto table = make_table(explanation, "sum", "");
    const auto add = [&](const string &name, const auto &value_of) {
        const auto &rows = explanation.rows;
        add_line(table, explanation, name, "", value_of(rows[0]), rows.size() > 1 ? value_of(rows[1]) : 0);
    };
    add("outside user space", [](const Explained &row) { return counted(row) - counted_in_user_space(row); });
    add("counted, all", counted);
    add("guest clock, the same pass", [](const Explained &row) { return row.clock / row.units; });
    add("remainder", [](const Explained &row) { return row.clock / row.units - counted(row); });
    add("the row (median of its samples)", [](const Explained &row) { return row.row; });
    return table;
}

Table of_model(const Explanation &explanation)
{
    auto table = make_table(explanation, "model, the whole pass", "");
    for (const auto &[name, value] : explanation.rows[0].model) {
        const auto &b = explanation.rows.back().model;
        const auto other = b.find(name);
        add_line(table, explanation, name, "", static_cast<double>(value),
                 other == b.end() ? 0 : static_cast<double>(other->second));
    }
    return table;
}

string title(const Explained &row, const string &letter)
{
    string text = fmt::format("{} = {}, {}", letter, row.cell, row.workload);
    for (const auto &more : {row.variant, row.cache})
        if (!more.empty())
            text += ", " + more;
    return text + fmt::format(", a {}\n", row.per.empty() ? "pass" : row.per);
}

string as_csv(const Explanation &explanation)
{
    const bool both = explanation.rows.size() > 1;
    string text = both ? "function,module,part,entry,a,b\n" : "function,module,part,entry,a\n";
    for (const auto &line : explanation.lines) {
        text += fmt::format("{},{},{},{},{}", line.routine.name, line.routine.module, line.phase.part,
                            line.phase.entry, line.a);
        text += both ? fmt::format(",{}\n", line.b) : string("\n");
    }
    return text;
}

} // namespace

string render(const Explanation &explanation, const string &format, std::size_t top)
{
    if (format == "json")
        return to_json(explanation).dump(1) + "\n";
    if (format == "csv")
        return as_csv(explanation);
    if (format != "table" && format != "markdown")
        throw std::runtime_error(
            fmt::format("expected one of the formats table, markdown, csv, json, got '{}'", format));
    const auto draw = format == "table" ? as_plain : as_markdown;
    const string gap = format == "table" ? "" : "\n";
    string text = title(explanation.rows[0], "A");
    if (explanation.rows.size() > 1)
        text += gap + title(explanation.rows[1], "B");
    text += gap + fmt::format("kernel {}, guest instructions (-icount)\n", explanation.kernel);
    for (const auto &table : {by_phase(explanation), by_function(explanation, top), sums(explanation)})
        text += "\n" + draw(table);
    if (!explanation.rows[0].model.empty())
        text += fmt::format("\n{}\nA model, not a measurement: {}\n", draw(of_model(explanation)),
                            model_parameters);
    return text +
           "\nFunctions that the compiler inlined are in their callers. The remainder is the reading of the "
           "clock,\nand time in which the guest had nothing to do.\n";
}

} // namespace daxbench
