// SPDX-License-Identifier: Apache-2.0
// Jobs of the probe that are no tests.
#pragma once

#include <string>
#include <vector>

namespace probe {

/// {"stat", "a/b"}: prints the errno, then the content of the file /good.
int access_job(const std::vector<std::string> &words);
/// Walks, reads and maps everything from four processes.
int churn_job(int seconds);

} // namespace probe
