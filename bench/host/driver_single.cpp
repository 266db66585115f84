// SPDX-License-Identifier: Apache-2.0
// Driver "single": one guest runs the workloads one after another.
#include "driver.hpp"

#include <fmt/core.h>

#include <stdexcept>

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;

constexpr int agent_seed = 1; // of permutations; the same for every filesystem and run

void run_workload(const CellInput &input, const json &workload, GuestSession &guest,
                  CellResult &result)
{
    const auto id = workload.at("id").get<string>();
    const auto answer = guest.call(
        "run", {{"target", mount_target}, {"workload", workload}, {"seed", agent_seed}},
        Seconds(input.cell.timeout_s));
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

/// Whether the guest still answers, so that going on makes sense.
bool alive(GuestSession &guest)
{
    try {
        guest.call("memory", json::object(), Seconds(30));
        return true;
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &) {
        return false;
    }
}

void failed_row(const CellInput &input, const string &workload, const string &error,
                CellResult &result)
{
    auto row = measurement_of(input.cell, workload, "cost_per_op", input.clock);
    row.clock = input.clock;
    row.error = error;
    result.measurements.push_back(row);
}

} // namespace

void run_single(const CellInput &input, GuestHost &host, CellResult &result)
{
    host.step(input.cell, "booting");
    const auto guest = host.boot(input.cell, 0);
    result.hello = guest->hello();
    result.qemu = guest->command();

    host.step(input.cell, "mounting");
    load_modules(input, *guest);
    result.proof = mount_and_prove(input, *guest);
    check_kernel_log(input, *guest);

    for (const auto &workload : input.cell.workloads) {
        const auto id = workload.at("id").get<string>();
        host.step(input.cell, id);
        try {
            run_workload(input, workload, *guest, result);
        } catch (const Interrupted &) {
            throw;
        } catch (const std::exception &error) {
            if (!alive(*guest)) // what it measured before is not trusted either
                throw std::runtime_error(fmt::format("{}: {}", id, error.what()));
            note_failure(id, error, result);
            failed_row(input, id, error.what(), result);
        }
        check_kernel_log(input, *guest);
    }
    host.step(input.cell, "powering off");
    guest->shutdown();
}

} // namespace daxbench
