// SPDX-License-Identifier: Apache-2.0
// What a workload may say: every engine and operation once, for the host that reads declarations, the
// guest that runs them, and the schema that editors and documents read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace daxbench {

/// What a key of a workload's table holds.
enum class KeyKind {
    text,
    texts,   ///< a list, not empty
    number,  ///< whole, 1 or more
    flag,    ///< true or false
    table,   ///< names with texts
    choice,  ///< one of `allowed`
    choices, ///< a list of them
};

struct WorkloadKey {
    std::string name;
    KeyKind kind;
    std::string meaning;
    std::vector<std::string> allowed = {};
    bool required = false;
};

struct EngineDeclaration {
    std::string name;
    std::string meaning;
    std::vector<WorkloadKey> keys; ///< beside "id" and "engine"
};

/// Operations of the engine benchmark.
struct OperationDeclaration {
    std::string name;
    std::string meaning;
};

const std::vector<EngineDeclaration> &declared_engines();
const std::vector<OperationDeclaration> &declared_operations();

/// nullptr when there is none.
const EngineDeclaration *find_engine(std::string_view name);

std::vector<std::string> engine_names();
std::vector<std::string> operation_names();

/// JSON Schema of a file of workloads/workloads/, as JSON (a TOML file maps onto it).
nlohmann::json workload_schema();

} // namespace daxbench
