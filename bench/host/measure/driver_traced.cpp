// SPDX-License-Identifier: Apache-2.0
// Driver "traced": one guest under QEMU's plugin. Its rows are what each workload executes of the kernel.
#include <algorithm>
#include <array>
#include <functional>
#include <stdexcept>

#include <fmt/core.h>

#include "driver.hpp"

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;

Request marked_request(const json &workload)
{
    auto request = run_request(workload);
    request.args["mark"] = true;
    return request;
}

/// A program's life has parts; other workloads end and start processes of the agent's, if any.
bool has_parts(const Cell &cell)
{
    return std::ranges::all_of(cell.workloads,
                               [](const auto &workload) { return workload.at("engine") == "program"; });
}

Request announce_request(const Cell &cell)
{
    return {"announce", entry_routines(has_parts(cell))};
}

/// All that the guest is asked, in the order of trace_cell(): nothing from outside interrupts it.
std::vector<Request> script_of(const CellInput &input)
{
    std::vector<Request> script = load_requests(input);
    const auto mounting = mount_requests(input);
    script.insert(script.end(), mounting.begin(), mounting.end());
    script.push_back(log_request());
    script.push_back(announce_request(input.cell));
    for (const auto &workload : input.cell.workloads) {
        script.push_back(marked_request(workload));
        script.push_back(log_request());
    }
    script.push_back({"symbols"});
    return script;
}

using Belongs = std::function<bool(const Routine &)>;

/// Code that is the filesystem's, its modules', or serves filesystems alone: fs/dax.c and drivers/dax,
/// fs/iomap and mm/shmem.c, told by how they name their functions. The same for each filesystem.
Belongs filesystem_code(const FilesystemSpec &filesystem)
{
    auto modules = filesystem.modules;
    if (!filesystem.external_module.empty())
        modules.push_back(filesystem.external_module);
    return [modules](const Routine &routine) {
        constexpr std::array prefixes = {"dax_", "iomap_", "shmem_", "ramfs_", "erofs_", "z_erofs_"};
        return std::ranges::find(modules, routine.module) != modules.end() ||
               std::ranges::any_of(prefixes, [&](const char *prefix) {
                   return routine.name.starts_with(prefix) || routine.name.starts_with(string("__") + prefix);
               });
    };
}

Measurement count_row(const Cell &cell, const string &workload, const json &result, const string &metric,
                      const string &unit, double value)
{
    auto row = measurement_of(cell, workload, metric, unit);
    row.variant = result.value("variant", "");
    row.cache = result.value("cache", "");
    row.samples = {value};
    return row;
}

void append_rows(const Cell &cell, const string &workload, const json &result, const Trace &trace,
                 const Belongs &own, CellResult &to)
{
    const auto &marked = result.at("marked");
    const auto &section = trace.sections.at(marked.at("section").get<std::size_t>());
    const auto add = [&](const string &prefix, const CodeSize &size) {
        auto row = count_row(cell, workload, result, prefix + "_instructions", "instructions",
                             static_cast<double>(size.instructions) / marked.at("units").get<double>());
        row.clock = "instructions";
        row.per = result.value("per", "");
        to.measurements.push_back(row);
        const std::pair<const char *, std::size_t> counts[] = {
            {"_functions", size.functions}, {"_places", size.places}, {"_branches", size.branches}};
        for (const auto &[name, count] : counts)
            to.measurements.push_back(
                count_row(cell, workload, result, prefix + name, "count", static_cast<double>(count)));
        to.measurements.push_back(count_row(cell, workload, result, prefix + "_code_bytes", "bytes",
                                            static_cast<double>(size.bytes)));
    };
    add("kernel", code_size(section, trace.routines, [](const Routine &) { return true; }));
    add("filesystem", code_size(section, trace.routines, own));
}

/// Names of the filesystem's functions that were executed, for what counts their lines.
json functions_of(const Section &section, const Routines &routines, const Belongs &own)
{
    json names = json::object();
    for (const auto &[key, count] : count_routines(section, routines))
        if (own(key.first) && key.second.entry != "interrupt")
            names[key.first.name] = names.value(key.first.name, std::int64_t{0}) + count;
    return names;
}

} // namespace

Trace trace_cell(const CellInput &input, GuestHost &host, CellResult &result)
{
    if (input.clock != "instructions")
        throw std::runtime_error(
            "expected a guest whose instructions are counted, a plugin sees those of TCG "
            "alone: use --accel tcg");
    const auto guest = boot_and_mount(input, host, script_of(input), result);
    call_all(input, *guest, {announce_request(input.cell)});
    auto answers = json::array();
    for (const auto &workload : input.cell.workloads) {
        host.step(input.cell, workload.at("id").get<string>());
        answers.push_back(guest->call(marked_request(workload), Seconds(input.cell.timeout_s)));
        check_kernel_log(input, *guest, result.proof);
    }
    const auto symbols = guest->call({"symbols"}, Seconds(input.cell.timeout_s));
    host.step(input.cell, "powering off");
    guest->shutdown();
    return {Routines(symbols.at("symbols").get<string>()), parse_profile(guest->profile()), answers};
}

void run_traced(const CellInput &input, GuestHost &host, CellResult &result)
{
    const auto trace = trace_cell(input, host, result);
    const auto own = filesystem_code(input.filesystem);
    // One that is in the source and not among these was inlined.
    result.raw.push_back({{"symbols", trace.routines.names(own)}});
    for (std::size_t i = 0; i < trace.answers.size(); ++i) {
        const auto workload = input.cell.workloads[i].at("id").get<string>();
        auto functions = json::array();
        for (const auto &one : trace.answers[i].at("results")) {
            append_rows(input.cell, workload, one, trace, own, result);
            functions.push_back(functions_of(
                trace.sections.at(one.at("marked").at("section").get<std::size_t>()), trace.routines, own));
        }
        result.raw.push_back(
            {{"workload", workload}, {"answer", trace.answers[i]}, {"functions", functions}});
    }
}

} // namespace daxbench
