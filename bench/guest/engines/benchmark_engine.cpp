// SPDX-License-Identifier: Apache-2.0
// Google Benchmark around the operations: it repeats, counts and reports; the clock is read by us,
// right at the edges of a pass, so that opening, mapping and dropping caches stay outside.
#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>
#include <sstream>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "cold.hpp"
#include "engines.hpp"
#include "mark.hpp"
#include "operations.hpp"
#include "perf_counters.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

struct Case {
    std::string target;
    std::string variant;
    Cache cache = Cache::warm;
    std::unique_ptr<Operation> operation;
    std::int64_t passes = 1;
    bool count_events = true;
    json counters = json::object();
    std::exception_ptr error;
};

const char *cache_name(Cache cache)
{
    return cache == Cache::warm ? "warm" : "cold";
}

void prepare(const Case &item)
{
    if (item.cache == Cache::cold)
        make_cold(item.target);
    item.operation->before();
    settle();
}

double seconds_of_pass(Operation &operation)
{
    const Uninterrupted guard;
    const std::uint64_t start = now_ns();
    operation.pass();
    return static_cast<double>(now_ns() - start) * 1e-9;
}

double timed_pass(const Case &item)
{
    prepare(item);
    const double seconds = seconds_of_pass(*item.operation);
    item.operation->after();
    return seconds;
}

// A pass of its own: open events make each fault dearer by some hundred instructions.
void counted_pass(Case &item)
{
    PerfCounters counters;
    prepare(item);
    counters.start();
    item.operation->pass();
    counters.stop();
    item.operation->after();
    counters.add_to(item.counters);
}

// The same pass once more for QEMU's plugin, which counts between the marks.
json marked_pass(const Case &item)
{
    prepare(item);
    std::uint64_t ns = 0;
    {
        const Uninterrupted guard;
        const std::uint64_t start = now_ns();
        mark_begin();
        item.operation->pass();
        mark_end();
        ns = now_ns() - start;
    }
    item.operation->after();
    return {{"section", next_section()}, {"ns", ns}, {"units", item.operation->units()}};
}

// What each operation takes: its distribution, where they are of unlike files. A pass of its own, since
// reading the clock takes instructions, too.
std::vector<double> time_each(const Case &item)
{
    std::vector<double> times(item.operation->operations());
    prepare(item);
    {
        const Uninterrupted guard;
        for (std::size_t i = 0; i < times.size(); ++i) {
            const std::uint64_t start = now_ns();
            item.operation->single(i);
            times[i] = static_cast<double>(now_ns() - start);
        }
    }
    item.operation->after();
    return times;
}

void repetition(benchmark::State &state, Case &item)
{
    if (item.cache == Cache::warm)
        timed_pass(item); // its time is not used
    for (auto iteration : state) {
        (void)iteration;
        state.SetIterationTime(timed_pass(item));
    }
    const double passes = static_cast<double>(state.iterations());
    state.SetItemsProcessed(static_cast<std::int64_t>(item.operation->operations()) * state.iterations());
    state.counters["operations"] = static_cast<double>(item.operation->operations()) * passes;
    if (item.count_events)
        counted_pass(item);
}

// How much work a sample has to be, so that one timer tick more or less does not show. Enough for
// 30 million instructions at this estimate of what an operation costs (120 million where page tables
// come and go, which the kernel frees in batches); the same on every file system, or they would not
// be comparable.
std::int64_t default_passes(const json &workload, std::uint64_t operations)
{
    const std::string op = workload.at("op");
    double estimate = 2000;
    if (op == "open-close" || op == "stat")
        estimate = 6000;
    else if (op == "open-mmap-touch-close" || op == "walk")
        estimate = 30000;
    else if (op == "read")
        estimate += workload.value("block", 4096.0) / 8; // the copy, eight bytes at a time
    const double wanted =
        (op == "open-mmap-touch-close" ? 120e6 : 30e6) / (estimate * static_cast<double>(operations));
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wanted)));
}

std::vector<std::string> strings(const json &workload, const char *key, const char *otherwise)
{
    if (workload.contains(key))
        return workload.at(key).get<std::vector<std::string>>();
    return {otherwise};
}

std::vector<std::unique_ptr<Case>> make_cases(const RunRequest &request)
{
    std::vector<std::unique_ptr<Case>> cases;
    for (const std::string &variant : strings(request.workload, "variants", ""))
        for (const std::string &cache : strings(request.workload, "cache", "warm")) {
            auto item = std::make_unique<Case>();
            item->target = request.target;
            item->variant = variant;
            item->cache = parse_cache(cache);
            item->count_events = request.workload.value("count_events", true);
            item->operation = make_operation(request.target, request.workload, variant, request.seed);
            item->passes = request.workload.value(
                "passes", default_passes(request.workload, item->operation->operations()));
            cases.push_back(std::move(item));
        }
    return cases;
}

void register_case(const RunRequest &request, Case &item)
{
    const std::string id = request.workload.value("id", "workload");
    const std::string name =
        fmt::format("{}{}{}/{}", id, item.variant.empty() ? "" : "/", item.variant, cache_name(item.cache));
    const auto body = [&request, &item, name](benchmark::State &state) {
        try {
            request.progress(name);
            repetition(state, item);
        } catch (const std::exception &error) {
            item.error = std::current_exception();
            state.SkipWithError(error.what());
        }
    };
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Iterations(item.passes)
        ->Repetitions(request.workload.value("repetitions", 3))
        ->UseManualTime()
        ->Unit(benchmark::kNanosecond);
}

// What Google Benchmark reports, as JSON.
json run_registered()
{
    std::ostringstream report;
    std::ostringstream errors;
    benchmark::JSONReporter reporter;
    reporter.SetOutputStream(&report);
    reporter.SetErrorStream(&errors);
    benchmark::RunSpecifiedBenchmarks(&reporter);
    benchmark::ClearRegisteredBenchmarks();
    return json::parse(report.str());
}

// Time of a pass in ns, of each repetition.
std::vector<double> pass_times(const json &raw, std::size_t family)
{
    std::vector<double> times;
    for (const json &entry : raw.at("benchmarks"))
        if (entry.at("family_index") == family && entry.at("run_type") == "iteration")
            times.push_back(entry.at("real_time"));
    return times;
}

// Counts of one pass, on the base of the cost: for each operation, page or MiB.
json per_unit(json counters, double units)
{
    for (json &counts : counters)
        if (counts.is_array())
            for (json &count : counts)
                count = count.get<double>() / units;
    return counters;
}

json to_result(const RunRequest &request, const Case &item, const json &raw, std::size_t family)
{
    json samples = json::array();
    for (const double time : pass_times(raw, family))
        samples.push_back(time / item.operation->units());
    return {{"variant", item.variant},
            {"cache", cache_name(item.cache)},
            {"metric", "cost_per_op"},
            {"per", request.workload.value("per", "op")},
            {"unit", "ns"},
            {"samples", samples},
            {"operations", item.operation->operations() * static_cast<std::uint64_t>(item.passes)},
            {"counters", per_unit(item.counters, item.operation->units())}};
}

} // namespace

json run_benchmark_engine(const RunRequest &request)
{
    const auto cases = make_cases(request);
    json results = json::array();
    json raw = json::array();
    // One at a time: a warm benchmark warms up right before it runs.
    for (const auto &item : cases) {
        if (item->cache == Cache::warm)
            item->operation->warm_up();
        register_case(request, *item);
        raw.push_back(run_registered());
        if (item->error)
            std::rethrow_exception(item->error);
        results.push_back(to_result(request, *item, raw.back(), 0));
        if (request.mark)
            results.back()["marked"] = marked_pass(*item);
        if (request.workload.value("each", false))
            results.back()["extra"] = {
                {"cost_of_each", {{"unit", "ns"}, {"per", "op"}, {"samples", time_each(*item)}}}};
    }
    return {{"results", results}, {"raw", raw}};
}

} // namespace daxbench
