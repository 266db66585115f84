// SPDX-License-Identifier: Apache-2.0
#include "driver.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <stdexcept>
#include <string_view>

#include <fmt/core.h>

#include "media.hpp"

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

/// A program's own fault, which the kernel only reports: "traps: bash[7] general protection fault ip:… sp:…".
bool is_of_a_program(const string &line)
{
    return line.starts_with("traps: ") && line.find(" ip:") != string::npos;
}

bool is_complaint(const string &line)
{
    if (is_of_a_program(line))
        return false;
    return std::ranges::any_of(complaints, [&](std::string_view complaint) {
        const auto at = line.find(complaint);
        return at != string::npos && (at == 0 || !std::isalpha(static_cast<unsigned char>(line[at - 1])));
    });
}

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
    if (!filesystem.mounts())
        return {};
    Request mount{"mount",
                  {{"type", filesystem.type}, {"options", filesystem.options}, {"target", mount_target}}};
    const auto &source = medium_named(filesystem.medium).source;
    if (source.empty())
        mount.op = "seed";
    else
        mount.args["source"] = source;
    if (source == "reserved")
        mount.args["options"] =
            fmt::format("{},phys={:#x},size={}", filesystem.options, range_start, input.image_bytes);
    if (filesystem.overlay)
        mount.args["overlay"] = true;
    std::vector<Request> requests;
    if (!filesystem.settings.empty())
        requests.push_back({"set", {{"settings", filesystem.settings}}});
    requests.insert(requests.end(), {mount,
                                     {"prove",
                                      {{"target", mount_target},
                                       {"file", input.probe_file},
                                       {"type", filesystem.type},
                                       {"options", filesystem.prove.options},
                                       {"dax", filesystem.prove.dax},
                                       {"page_cache", filesystem.prove.page_cache},
                                       {"settings", filesystem.settings},
                                       {"overlay", filesystem.overlay}}}});
    return requests;
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
    json answer = json::object();
    for (const auto &request : requests)
        answer = guest.call(request, limit_of(input));
    return answer;
}

std::vector<string> kernel_complaints(const json &lines)
{
    std::vector<string> found;
    for (const auto &line : lines)
        if (is_complaint(text_of(line)))
            found.push_back(text_of(line));
    return found;
}

string kernel_complaint(const json &lines)
{
    const auto found = kernel_complaints(lines);
    return found.empty() ? "" : found.front();
}

void check_kernel_log(const CellInput &input, GuestSession &guest, json &proof)
{
    const auto answer = guest.call(log_request(), limit_of(input));
    for (const auto &line : kernel_complaints(answer.value("lines", json::array()))) {
        const auto &known = input.filesystem.kernel_warnings;
        if (std::ranges::none_of(known, [&](const string &text) { return line.find(text) != string::npos; }))
            throw std::runtime_error(fmt::format(
                "expected a guest kernel without complaints, it printed \"{}\"; see the cell's log", line));
        proof["kernel_warnings"].push_back(line);
    }
}

std::unique_ptr<GuestSession> boot_and_mount(const CellInput &input, GuestHost &host,
                                             const std::vector<Request> &script, CellResult &result)
{
    host.step(input.cell, "booting");
    auto guest = host.boot(input.cell, 0, script);
    result.hello = guest->hello();
    result.qemu = guest->command();
    host.step(input.cell, "mounting");
    call_all(input, *guest, load_requests(input));
    result.proof = call_all(input, *guest, mount_requests(input));
    check_kernel_log(input, *guest, result.proof);
    return guest;
}

CellResult run_cell(const CellInput &input, GuestHost &host)
{
    const auto start = std::chrono::steady_clock::now();
    CellResult result;
    try {
        if (input.cell.driver == Driver::instances)
            run_instances(input, host, result);
        else if (input.cell.driver == Driver::frames)
            run_frames(input, host, result);
        else if (input.cell.driver == Driver::hostile)
            run_hostile(input, host, result);
        else if (input.cell.driver == Driver::traced)
            run_traced(input, host, result);
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
    if (!input.medium_note.empty() && result.proof.is_object())
        result.proof["medium_note"] = input.medium_note;
    result.seconds = Seconds(std::chrono::steady_clock::now() - start).count();
    return result;
}

} // namespace daxbench
