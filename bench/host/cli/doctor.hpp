// SPDX-License-Identifier: Apache-2.0
// What works on this machine, found by trying it.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "spec.hpp"
#include "world.hpp"

namespace daxbench {

struct Finding {
    enum class Verdict { good, poor, bad }; ///< poor: works, but with less
    std::string what;
    Verdict verdict = Verdict::good;
    std::string detail; ///< what was found
    std::string advice; ///< what to do; "" where nothing
};

/// A check's answer; an exception it throws is a bad finding with that line.
Finding check(const std::string &what, const std::function<Finding()> &probe);

/// Prints a table of findings; returns 0 when nothing is bad, else 1.
int print_findings(std::ostream &out, const std::vector<Finding> &findings);

/// Boots a guest afresh. Progress goes to `progress`.
std::vector<Finding> examine(const Catalogue &catalogue, const KernelChoice &kernel, const std::string &accel,
                             const Progress &progress);

} // namespace daxbench
