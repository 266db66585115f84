// SPDX-License-Identifier: Apache-2.0
// Driver "single": one guest runs the workloads one after another.
#include <stdexcept>

#include <fmt/core.h>

#include "driver.hpp"

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;

void run_workload(const CellInput &input, const json &workload, GuestSession &guest, CellResult &result)
{
    const auto id = workload.at("id").get<string>();
    const auto answer = guest.call(run_request(workload), Seconds(input.cell.timeout_s));
    result.raw.push_back({{"workload", id}, {"answer", answer}});
    auto rows = measurements_of(input.cell, id, input.clock, answer);
    result.measurements.insert(result.measurements.end(), rows.begin(), rows.end());
}

/// One that failed leaves the rest to be tried; the first error is the cell's.
void note_failure(const string &workload, const std::exception &error, CellResult &result)
{
    result.status = "failed";
    if (result.error.empty())
        result.error = fmt::format("{}: {}", workload, error.what());
}

void failed_row(const CellInput &input, const string &workload, const string &error, CellResult &result)
{
    auto row = measurement_of(input.cell, workload, "cost_per_op", input.clock);
    row.clock = input.clock;
    row.error = error;
    result.measurements.push_back(row);
}

void append(std::vector<Request> &script, const std::vector<Request> &more)
{
    script.insert(script.end(), more.begin(), more.end());
}

/// All that a guest will be asked, in the order in which run_single() calls.
std::vector<Request> script_of(const CellInput &input)
{
    std::vector<Request> script;
    append(script, load_requests(input));
    append(script, mount_requests(input));
    append(script, {log_request()});
    for (const auto &workload : input.cell.workloads)
        append(script, {run_request(workload), log_request()});
    return script;
}

} // namespace

void run_single(const CellInput &input, GuestHost &host, CellResult &result)
{
    const auto guest = boot_and_mount(input, host, script_of(input), result);

    for (const auto &workload : input.cell.workloads) {
        const auto id = workload.at("id").get<string>();
        host.step(input.cell, id);
        try {
            run_workload(input, workload, *guest, result);
        } catch (const AgentError &error) {
            note_failure(id, error, result);
            failed_row(input, id, error.what(), result);
        } catch (const Interrupted &) {
            throw;
        } catch (const std::exception &error) { // what it measured before is not trusted either
            throw std::runtime_error(fmt::format("{}: {}", id, error.what()));
        }
        check_kernel_log(input, *guest, result.proof);
    }
    host.step(input.cell, "powering off");
    guest->shutdown();
}

} // namespace daxbench
