// SPDX-License-Identifier: Apache-2.0
// Operations by their names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "operation.hpp"
#include "protocol.hpp"

namespace daxbench {

enum class Cache { warm, cold };

/// "warm" or "cold"; throws naming both.
Cache parse_cache(const std::string &text);

/// WORKLOAD's op (declared_operations() has what each does), on the files it selects below TARGET. SEED
/// makes the permutations.
std::unique_ptr<Operation> make_operation(const std::string &target, const json &workload,
                                          const std::string &variant, std::uint64_t seed);

} // namespace daxbench
