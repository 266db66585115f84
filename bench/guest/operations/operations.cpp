// SPDX-License-Identifier: Apache-2.0
#include "operations.hpp"

#include <map>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "operation_parts.hpp"
#include "workload.hpp"

namespace daxbench {

Cache parse_cache(const std::string &text)
{
    if (text == "warm")
        return Cache::warm;
    if (text == "cold")
        return Cache::cold;
    throw std::runtime_error(fmt::format("expected the cache warm or cold, got '{}'", text));
}

std::unique_ptr<Operation> make_operation(const std::string &target, const json &workload,
                                          const std::string &variant, std::uint64_t seed)
{
    static const std::map<std::string, MakeOperation> operations = {
        {"read", make_read},
        {"mmap-touch", make_mmap_touch},
        {"touch-apart", make_touch_apart},
        {"munmap", make_munmap},
        {"fork", make_fork},
        {"open-mmap-touch-close", make_open_mmap_touch_close},
        {"open-close", make_open_close},
        {"stat", make_stat},
        {"lookup", make_lookup},
        {"walk", make_walk},
        {"mount", make_mount}};
    const std::string op = workload.at("op");
    const auto made = operations.find(op);
    if (made == operations.end())
        throw std::runtime_error(fmt::format("expected one of the operations {}, got '{}'",
                                             fmt::join(operation_names(), ", "), op));
    return made->second({target, workload, variant, seed});
}

} // namespace daxbench
