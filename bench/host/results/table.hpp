// SPDX-License-Identifier: Apache-2.0
// results.json as a table for the terminal.
#pragma once

#include <ostream>

#include <nlohmann/json.hpp>

#include "spec.hpp"

namespace daxbench {

/// For each experiment the metrics its declaration lists, one row for each measured thing, one
/// column for each filesystem, the lowest marked with `*`; then images, then where the suite's
/// subject is not the lowest, then what could not be measured.
void print_table(std::ostream &out, const nlohmann::json &results, const Catalogue &catalogue);

/// A value for people: "1,297", "0.982", "371.2 MB".
std::string value_text(double value, const std::string &unit);

} // namespace daxbench
