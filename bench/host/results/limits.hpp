// SPDX-License-Identifier: Apache-2.0
// Whether a run's figures keep the limits that its suite declares.
#pragma once

#include <nlohmann/json.hpp>

#include "spec.hpp"

namespace daxbench {

/// One entry for each of the suite's limits, and of the run's kernels where there are several: {"title",
/// "rows", "value", "bound", "unit", "against", "met"}. `value` is the highest of the rows the limit is
/// about, `bound` what it must not exceed; `met` is null where a row of either side was not measured.
/// `measurements` as in results.json.
nlohmann::json judge_limits(const std::vector<LimitSpec> &limits, const nlohmann::json &measurements);

} // namespace daxbench
