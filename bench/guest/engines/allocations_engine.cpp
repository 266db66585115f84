// SPDX-License-Identifier: Apache-2.0
// What the kernel allocates while operations run: none of it is timed.
#include <fmt/format.h>

#include "allocations.hpp"
#include "cold.hpp"
#include "engines.hpp"
#include "operations.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

std::vector<std::string> strings(const json &workload, const char *key, const char *otherwise)
{
    return workload.value(key, std::vector<std::string>{otherwise});
}

json to_json(const AllocationKind &kind)
{
    return {{"count", kind.count}, {"bytes", kind.bytes}, {"callers", kind.callers}};
}

struct Case {
    const RunRequest &request;
    std::string variant;
    std::string cache;
};

/// A pass as the engine benchmark makes them: warm ones follow one that is not looked at.
Allocations count_pass(const Case &item, Operation &operation, AllocationTracer &tracer)
{
    if (item.cache == "warm") {
        operation.warm_up();
        operation.before();
        operation.pass();
        operation.after();
    } else {
        make_cold(item.request.target);
    }
    operation.before();
    settle();
    const auto found = tracer.count([&] { operation.pass(); });
    operation.after();
    return found;
}

json measure(const Case &item, AllocationTracer &tracer, json &raw)
{
    const auto &workload = item.request.workload;
    const auto operation = make_operation(item.request.target, workload, item.variant, item.request.seed);
    const Allocations found = count_pass(item, *operation, tracer);
    raw.push_back({{"variant", item.variant},
                   {"cache", item.cache},
                   {"slab", to_json(found.slab)},
                   {"pages", to_json(found.pages)},
                   {"page_tables", to_json(found.page_tables)},
                   {"slab_pages", to_json(found.slab_pages)}});
    const auto each = [&](const char *unit, std::uint64_t value) {
        return json{{"unit", unit},
                    {"per", workload.value("per", "op")},
                    {"samples", {static_cast<double>(value) / operation->units()}}};
    };
    json result = each("count", found.slab.count + found.pages.count);
    result["metric"] = "allocations_per_op";
    result["variant"] = item.variant;
    result["cache"] = item.cache;
    result["operations"] = operation->operations();
    result["extra"] = {{"allocated_bytes_per_op", each("bytes", found.slab.bytes + found.pages.bytes)},
                       {"slab_objects_per_op", each("count", found.slab.count)},
                       {"pages_per_op", each("count", found.pages.count)},
                       {"page_table_pages_per_op", each("count", found.page_tables.count)},
                       {"slab_pages_per_op", each("count", found.slab_pages.count)}};
    return result;
}

} // namespace

json run_allocations_engine(const RunRequest &request)
{
    AllocationTracer tracer;
    json results = json::array();
    json raw = json::array();
    for (const auto &variant : strings(request.workload, "variants", ""))
        for (const auto &cache : strings(request.workload, "cache", "warm")) {
            parse_cache(cache);
            request.progress(fmt::format("{}/{}", request.workload.value("id", "allocations"), cache));
            results.push_back(measure({request, variant, cache}, tracer, raw));
        }
    return {{"results", results}, {"raw", raw}};
}

} // namespace daxbench
