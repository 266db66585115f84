// SPDX-License-Identifier: Apache-2.0
// Driver "instances": several guests over the same image at once. Each counts its memory before
// the mount and after it has read everything; when all have, and while all are alive, the host's
// memory for each of them is taken.
#include <barrier>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fmt/core.h>

#include "driver.hpp"

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;
using std::vector;

/// What the guests' threads share.
class Gathering {
public:
    explicit Gathering(int count) : guests(static_cast<std::size_t>(count)), all_(count) {}

    /// Waits until every guest is here or has failed.
    void meet() { all_.arrive_and_wait(); }

    void fail(std::exception_ptr error)
    {
        const std::lock_guard lock(mutex_);
        if (!error_)
            error_ = error;
        // Those that wait must not wait for this one.
        all_.arrive_and_drop();
    }

    bool failed()
    {
        const std::lock_guard lock(mutex_);
        return error_ != nullptr;
    }

    void rethrow()
    {
        if (error_)
            std::rethrow_exception(error_);
    }

    void note_warnings(const json &lines)
    {
        const std::lock_guard lock(mutex_);
        for (const auto &line : lines)
            warnings_.push_back(line);
    }

    /// Known warnings of all guests' kernels.
    const json &warnings() const { return warnings_; }

    vector<InstanceMemory> guests; ///< each thread writes its own

private:
    std::barrier<> all_;
    std::mutex mutex_;
    std::exception_ptr error_;
    json warnings_ = json::array();
};

json run_workloads(const CellInput &input, GuestSession &guest)
{
    auto raw = json::array();
    for (const auto &workload : input.cell.workloads) {
        auto answer = guest.call(run_request(workload), Seconds(input.cell.timeout_s));
        raw.push_back({{"workload", workload.at("id")}, {"answer", std::move(answer)}});
    }
    return raw;
}

void run_guest(const CellInput &input, int instance, GuestHost &host, Gathering &gathering,
               CellResult &result)
{
    const Seconds limit(input.cell.timeout_s);
    auto &memory = gathering.guests[static_cast<std::size_t>(instance)];
    host.step(input.cell, fmt::format("guest {}: booting", instance + 1));
    const auto guest = host.boot(input.cell, instance, {});
    call_all(input, *guest, load_requests(input));
    // Without what the kernel read when it looked for partitions, which may go at any time.
    guest->call("drop_caches", json::object(), limit);
    memory.ram = double(input.cell.memory_mib) * (1 << 20);
    memory.before = guest->call("memory", json::object(), limit);

    host.step(input.cell, fmt::format("guest {}: mounting", instance + 1));
    auto proof = call_all(input, *guest, mount_requests(input));
    host.step(input.cell, fmt::format("guest {}: reading", instance + 1));
    auto raw = run_workloads(input, *guest);
    memory.after = guest->call("memory", json::object(), limit);
    check_kernel_log(input, *guest, proof);
    if (instance == 0) {
        result.hello = guest->hello();
        result.qemu = guest->command();
        result.proof = proof;
        result.raw = std::move(raw);
    }

    gathering.note_warnings(proof.value("kernel_warnings", json::array()));

    gathering.meet(); // all have read everything
    if (gathering.failed())
        return;
    memory.host = guest->host_memory();
    gathering.meet(); // all have been counted
    guest->shutdown();
}

/// A failure after the last meeting point still drops out of the barrier, which nobody waits at.
void guest_thread(const CellInput &input, int instance, GuestHost &host, Gathering &gathering,
                  CellResult &result)
{
    try {
        run_guest(input, instance, host, gathering, result);
    } catch (...) {
        gathering.fail(std::current_exception());
    }
}

using Value = double (*)(const InstanceMemory &);

double grown(const InstanceMemory &guest, const char *what)
{
    return guest.after.at(what).get<double>() - guest.before.at(what).get<double>();
}

double page_cache(const InstanceMemory &guest)
{
    return grown(guest, "page_cache") + grown(guest, "buffers");
}

struct GuestMetric {
    const char *name;
    Value value;
};

constexpr GuestMetric guest_metrics[] = {
    {"page_cache_bytes", page_cache},
    {"buffers_bytes", [](const InstanceMemory &guest) { return grown(guest, "buffers"); }},
    {"slab_bytes", [](const InstanceMemory &guest) { return grown(guest, "slab"); }},
    {"anonymous_bytes", [](const InstanceMemory &guest) { return grown(guest, "anonymous"); }},
    {"guest_memory_bytes",
     [](const InstanceMemory &guest) {
         return page_cache(guest) + grown(guest, "slab") + grown(guest, "anonymous");
     }},
    // From its boot: the kernel itself, the page structs of its memory and of the pmem, its bounce buffers.
    {"guest_held_bytes",
     [](const InstanceMemory &guest) { return guest.ram - guest.after.at("mem_free").get<double>(); }},
};

constexpr GuestMetric host_metrics[] = {
    {"host_pss_data_bytes",
     [](const InstanceMemory &guest) { return double(guest.host.image.pss + guest.host.ram.pss); }},
    {"host_pss_bytes", [](const InstanceMemory &guest) { return double(guest.host.total.pss); }},
    {"host_pss_image_bytes", [](const InstanceMemory &guest) { return double(guest.host.image.pss); }},
    {"host_pss_ram_bytes", [](const InstanceMemory &guest) { return double(guest.host.ram.pss); }},
    {"host_rss_bytes", [](const InstanceMemory &guest) { return double(guest.host.total.rss); }},
    {"host_rss_image_bytes", [](const InstanceMemory &guest) { return double(guest.host.image.rss); }},
    {"host_rss_ram_bytes", [](const InstanceMemory &guest) { return double(guest.host.ram.rss); }},
};

double sum(const vector<InstanceMemory> &guests, Value value)
{
    double total = 0;
    for (const auto &guest : guests)
        total += value(guest);
    return total;
}

} // namespace

vector<Measurement> duplication_measurements(const Cell &cell, const string &workload,
                                             const vector<InstanceMemory> &guests, std::uint64_t data_bytes)
{
    vector<Measurement> rows;
    for (const auto &metric : guest_metrics) {
        auto row = measurement_of(cell, workload, metric.name, "bytes");
        for (const auto &guest : guests)
            row.samples.push_back(metric.value(guest));
        rows.push_back(std::move(row));
    }
    for (const auto &metric : host_metrics) {
        auto row = measurement_of(cell, workload, metric.name, "bytes");
        row.samples = {sum(guests, metric.value)};
        rows.push_back(std::move(row));
    }
    const auto image_pss = [](const InstanceMemory &guest) { return double(guest.host.image.pss); };
    auto factor = measurement_of(cell, workload, "duplication_factor", "ratio");
    factor.samples = {(sum(guests, page_cache) + sum(guests, image_pss)) / double(data_bytes)};
    rows.push_back(std::move(factor));
    return rows;
}

void run_instances(const CellInput &input, GuestHost &host, CellResult &result)
{
    if (input.data_bytes == 0)
        throw std::runtime_error("expected a dataset with data in it, it has none");
    Gathering gathering(input.cell.instances);
    {
        vector<std::jthread> threads;
        for (int instance = 0; instance < input.cell.instances; ++instance)
            threads.emplace_back([&, instance] { guest_thread(input, instance, host, gathering, result); });
    }
    gathering.rethrow();
    if (!gathering.warnings().empty())
        result.proof["kernel_warnings"] = gathering.warnings();
    for (const auto &guest : gathering.guests)
        result.raw.push_back({{"memory_before", guest.before}, {"memory_after", guest.after}});
    const auto workload = input.cell.workloads.back().at("id").get<string>();
    result.measurements = duplication_measurements(input.cell, workload, gathering.guests, input.data_bytes);
}

} // namespace daxbench
