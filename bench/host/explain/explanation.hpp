// SPDX-License-Identifier: Apache-2.0
// Where the instructions of one row went, or of two and where they differ.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "profile.hpp"

namespace daxbench {

/// One row of one cell, taken apart.
struct Explained {
    std::string cell;
    std::string workload;
    std::string variant;
    std::string cache;
    std::string per;
    double units = 1; ///< operations, pages or MiB of the pass
    double clock = 0; ///< guest nanoseconds of the pass between the marks: one an instruction
    double row = 0;   ///< the figure of the row itself: median of its samples, for each unit
    RoutineCounts counts;
    std::map<std::string, std::int64_t> model = {}; ///< of the whole pass; empty where it was not asked for
};

/// What the model of caches and TLBs assumes, in one sentence.
extern const char *const model_parameters;

/// For each unit. `b` is 0 where only one was asked for.
struct ExplainedLine {
    Routine routine;
    PhaseName phase;
    double a = 0;
    double b = 0;
};

struct Explanation {
    std::string kernel;               ///< release of the guests' kernel
    std::vector<Explained> rows;      ///< one or two
    std::vector<ExplainedLine> lines; ///< largest difference first; of one row, largest first
};

/// By function and phase, a part of a program's life and why the kernel runs.
Explanation explain_rows(std::vector<Explained> rows);

/// Sum of the row's lines, for each unit.
double counted(const Explained &row);
/// Of the user's own code.
double counted_in_user_space(const Explained &row);

nlohmann::json to_json(const Explanation &explanation);

/// FORMAT: table, markdown, csv or json. Of a table at most `top` lines, the rest added up in one; 0: all.
std::string render(const Explanation &explanation, const std::string &format, std::size_t top);

} // namespace daxbench
