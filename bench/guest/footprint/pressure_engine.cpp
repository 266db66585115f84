// SPDX-License-Identifier: Apache-2.0
// The whole tree used again and again in a guest that has less memory than that. The memory is taken away in
// the running guest (Balloon) and not by mem=, so that one boot serves all steps of a sweep, with page
// structs, watermarks and hash tables of one size.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "balloon.hpp"
#include "engines.hpp"
#include "io.hpp"
#include "mounts.hpp"
#include "operation_parts.hpp"
#include "permutation.hpp"
#include "selection.hpp"
#include "system.hpp"
#include "vmstat.hpp"

namespace daxbench {

namespace {

// Left beside the room for the data: watermarks, inodes and dentries, page tables.
constexpr std::uint64_t reserve = 64 << 20;

// Files in an order that looks random and is the same on each filesystem.
struct WorkingSet {
    std::vector<SelectedFile> files;
    std::uint64_t pages = 0;
};

WorkingSet working_set(const RunRequest &request)
{
    const auto files = distinct_files(list_tree(request.target));
    WorkingSet set;
    for (const auto index : permutation(files.size(), request.seed)) {
        set.files.push_back(files[index]);
        set.pages += (files[index].size + page_size - 1) / page_size;
    }
    return set;
}

void read_all(const WorkingSet &set, Buffer &buffer)
{
    for (const SelectedFile &file : set.files) {
        const UniqueFd fd = open_file(file.path, O_RDONLY);
        ssize_t got = 0;
        while ((got = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
        }
        if (got < 0)
            throw_errno("cannot read " + file.path);
    }
}

void touch_all(const WorkingSet &set)
{
    for (const SelectedFile &file : set.files)
        touch_whole_file(file);
}

// What is free once all that can be dropped is, and what the data takes where it is memory already. The files
// of the initramfs are page cache, too, and stay.
std::uint64_t could_be_free(const std::string &target, std::uint64_t data)
{
    const std::string type = mounted_at(target).type;
    const bool in_memory = type == "tmpfs" || type == "ramfs";
    return memory_by_kind().at("mem_free").get<std::uint64_t>() + (in_memory ? data : 0);
}

json bytes_metric(std::uint64_t before, std::uint64_t after)
{
    return {{"unit", "bytes"}, {"samples", {(after - before) * page_size}}};
}

json measure(const std::string &variant, const WorkingSet &set)
{
    Buffer buffer(1 << 17);
    const auto pass = [&] { variant == "mapped" ? touch_all(set) : read_all(set, buffer); };
    pass(); // so that the counted one finds what the one before it has left
    settle();
    const ReclaimCount before = parse_reclaim(read_file("/proc/vmstat"));
    const std::uint64_t start = now_ns();
    pass(); // without real-time priority: what kswapd does belongs to the cost
    const auto ns = static_cast<double>(now_ns() - start);
    const ReclaimCount after = parse_reclaim(read_file("/proc/vmstat"));
    return {
        {"samples", {ns / (static_cast<double>(set.pages * page_size) / mebibyte)}},
        {"operations", set.files.size()},
        {"extra",
         {{"refaulted_bytes", bytes_metric(before.refaulted, after.refaulted)},
          {"scanned_bytes", bytes_metric(before.scanned, after.scanned)},
          {"reclaimed_bytes", bytes_metric(before.reclaimed, after.reclaimed)},
          {"major_faults", {{"unit", "faults"}, {"samples", {after.major_faults - before.major_faults}}}}}}};
}

json under_pressure(const std::string &target, const std::string &variant, const WorkingSet &set,
                    std::uint64_t room)
{
    drop_caches();
    const std::uint64_t all = could_be_free(target, set.pages * page_size);
    if (all < room + reserve)
        throw std::runtime_error(fmt::format("expected a guest with {} MiB to spare, it has {}: give the "
                                             "experiment more memory",
                                             (room + reserve) >> 20, all >> 20));
    const Balloon balloon(all - room - reserve);
    return measure(variant, set);
}

} // namespace

json run_pressure_engine(const RunRequest &request)
{
    const WorkingSet set = working_set(request);
    const std::uint64_t percent = request.workload.at("room_percent");
    const std::uint64_t room = set.pages * page_size * percent / 100;
    json results = json::array();
    for (const std::string variant : request.workload.value("access", json::array({"read", "mapped"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "pressure"), variant));
        json result = {{"variant", variant}, {"metric", "cost_per_op"}, {"per", "MiB"}, {"unit", "ns"}};
        try {
            result.update(under_pressure(request.target, variant, set, room));
        } catch (const std::exception &error) { // a row: that it does not go is what was asked
            result["error"] = error.what();
        }
        results.push_back(result);
    }
    return {{"results", results},
            {"raw", {{"bytes_of_room", room}, {"bytes_of_data", set.pages * page_size}}}};
}

} // namespace daxbench
