// SPDX-License-Identifier: Apache-2.0
#include "driver.hpp"

#include <array>
#include <cctype>
#include <chrono>
#include <stdexcept>
#include <string_view>

#include <fmt/core.h>

namespace daxbench {
namespace {

constexpr int agent_seed = 1; // of permutations; the same for every filesystem and run

using nlohmann::json;
using std::string;

Seconds limit_of(const CellInput &input)
{
    return Seconds(input.cell.timeout_s);
}

const string &text_of(const json &line)
{
    static const string none;
    if (line.is_string())
        return line.get_ref<const string &>();
    if (line.is_object() && line.contains("text"))
        return line["text"].get_ref<const string &>();
    return none;
}

/// How reports of the kernel's own checkers begin, lockdep's and the sanitizers' included.
constexpr std::array<std::string_view, 20> complaints{
    "WARNING: ",
    "BUG: ",
    "BUG ", // "kernel BUG at", and what SLUB prints: "BUG daxfs_inode (Tainted …): …"
    "Oops: ",
    "Kernel panic",
    "general protection fault",
    "KASAN: ",
    "KCSAN: ",
    "UBSAN: ",
    "kmemleak: ",
    "unreferenced object",
    "suspicious RCU",
    "possible circular locking",
    "possible recursive locking",
    "inconsistent lock state",
    "INFO: trying to register non-static key",
    "INFO: task ",
    "blocked for more than",
    "detected stall",
    "self-detected stall",
};

} // namespace

std::vector<Request> load_requests(const CellInput &input)
{
    auto modules = input.filesystem.modules;
    if (!input.filesystem.external_module.empty())
        modules.push_back(input.filesystem.external_module);
    if (modules.empty())
        return {};
    return {{"load", {{"modules", modules}}}};
}

std::vector<Request> mount_requests(const CellInput &input)
{
    const auto &filesystem = input.filesystem;
    Request mount{"mount",
                  {{"type", filesystem.type}, {"options", filesystem.options}, {"target", mount_target}}};
    if (filesystem.medium == "ram")
        mount.op = "seed";
    else
        mount.args["source"] = "pmem";
    return {mount,
            {"prove",
             {{"target", mount_target},
              {"file", input.probe_file},
              {"type", filesystem.type},
              {"options", filesystem.prove.options},
              {"dax", filesystem.prove.dax},
              {"page_cache", filesystem.prove.page_cache}}}};
}

Request run_request(const json &workload)
{
    return {"run", {{"target", mount_target}, {"workload", workload}, {"seed", agent_seed}}};
}

Request log_request()
{
    return {"dmesg"};
}

json call_all(const CellInput &input, GuestSession &guest, const std::vector<Request> &requests)
{
    json answer;
    for (const auto &request : requests)
        answer = guest.call(request, limit_of(input));
    return answer;
}

string kernel_complaint(const json &lines)
{
    for (const auto &line : lines)
        for (const auto complaint : complaints)
            if (const auto at = text_of(line).find(complaint);
                at != string::npos &&
                (at == 0 || !std::isalpha(static_cast<unsigned char>(text_of(line)[at - 1]))))
                return text_of(line);
    return "";
}

void check_kernel_log(const CellInput &input, GuestSession &guest)
{
    const auto answer = guest.call(log_request(), limit_of(input));
    const auto line = kernel_complaint(answer.value("lines", json::array()));
    if (!line.empty())
        throw std::runtime_error(fmt::format(
            "expected a guest kernel without complaints, it printed \"{}\"; see the cell's log", line));
}

CellResult run_cell(const CellInput &input, GuestHost &host)
{
    const auto start = std::chrono::steady_clock::now();
    CellResult result;
    try {
        if (input.cell.driver == Driver::instances)
            run_instances(input, host, result);
        else
            run_single(input, host, result);
    } catch (const Interrupted &stop) {
        result.status = "interrupted";
        result.error = stop.what();
        result.measurements.clear();
    } catch (const std::exception &error) {
        // Nothing is published under a name that was not proved or over a kernel that complained.
        result.status = "failed";
        result.error = error.what();
        result.measurements.clear();
    }
    result.seconds = Seconds(std::chrono::steady_clock::now() - start).count();
    return result;
}

} // namespace daxbench
