// SPDX-License-Identifier: Apache-2.0
// Driver "instances": several guests over the same image at once, booted anew for each sample. Each counts
// its memory before the mount and after each workload; when all have run it, and while all are alive, the
// host's memory for each of them is taken. Workloads add up: what the second is charged with includes what
// the first has left.
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

/// What the guests' threads of one boot share.
class Gathering {
public:
    Gathering(std::size_t workloads, int guests)
        : memory(workloads, vector<InstanceMemory>(static_cast<std::size_t>(guests))),
          answers(workloads, vector<json>(static_cast<std::size_t>(guests))), all_(guests)
    {
    }

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

    vector<vector<InstanceMemory>> memory; ///< of each workload and guest; each thread writes its own
    vector<vector<json>> answers;          ///< to each workload, of each guest; the same

private:
    std::barrier<> all_;
    std::mutex mutex_;
    std::exception_ptr error_;
    json warnings_ = json::array();
};

/// One of the guests of one boot.
struct Place {
    int boot;
    int instance;
};

/// False when another guest has failed meanwhile.
bool run_and_count(const CellInput &input, Place place, std::size_t index, InstanceMemory memory,
                   GuestSession &guest, Gathering &gathering)
{
    const Seconds limit(input.cell.timeout_s);
    gathering.answers[index][static_cast<std::size_t>(place.instance)] =
        guest.call(run_request(input.cell.workloads[index]), limit);
    memory.after = guest.call("memory", json::object(), limit);
    gathering.meet(); // all have run it
    if (gathering.failed())
        return false;
    memory.host = guest.host_memory();
    gathering.memory[index][static_cast<std::size_t>(place.instance)] = std::move(memory);
    gathering.meet(); // all have been counted
    return !gathering.failed();
}

void run_guest(const CellInput &input, Place place, GuestHost &host, Gathering &gathering, CellResult &result)
{
    const Seconds limit(input.cell.timeout_s);
    const auto step = [&](const string &what) {
        host.step(input.cell, fmt::format("boot {}, guest {}: {}", place.boot + 1, place.instance + 1, what));
    };
    step("booting");
    const auto guest = host.boot(input.cell, place.boot * input.cell.instances + place.instance, {});
    call_all(input, *guest, load_requests(input));
    // Without what the kernel read when it looked for partitions, which may go at any time.
    guest->call("drop_caches", json::object(), limit);
    InstanceMemory memory;
    memory.ram = double(input.cell.memory_mib) * (1 << 20);
    memory.before = guest->call("memory", json::object(), limit);

    step("mounting");
    auto proof = call_all(input, *guest, mount_requests(input));
    for (std::size_t index = 0; index < input.cell.workloads.size(); ++index) {
        step(input.cell.workloads[index].at("id").get<string>());
        if (!run_and_count(input, place, index, memory, *guest, gathering))
            return;
    }
    check_kernel_log(input, *guest, proof);
    if (place.boot == 0 && place.instance == 0) {
        result.hello = guest->hello();
        result.qemu = guest->command();
        result.proof = proof;
    }
    gathering.note_warnings(proof.value("kernel_warnings", json::array()));
    guest->shutdown();
}

/// A failure after the last meeting point still drops out of the barrier, which nobody waits at.
void guest_thread(const CellInput &input, Place place, GuestHost &host, Gathering &gathering,
                  CellResult &result)
{
    try {
        run_guest(input, place, host, gathering, result);
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

/// Joins the samples of one more boot, whose rows are the same ones in the same order.
void add_samples(vector<Measurement> &rows, vector<Measurement> more)
{
    if (rows.empty())
        rows = std::move(more);
    else
        for (std::size_t i = 0; i < rows.size(); ++i)
            rows[i].samples.insert(rows[i].samples.end(), more[i].samples.begin(), more[i].samples.end());
}

/// What a workload has read; 0 where it does not know.
ReadBytes read_bytes(const CellInput &input, const json &answer)
{
    const auto bytes = answer.value("data_pages", std::uint64_t{0}) * 4096;
    if (!answer.value("whole", false))
        return {bytes, 0};
    if (bytes != input.data_bytes)
        throw std::runtime_error(fmt::format(
            "expected the guest to read all {} bytes of the dataset, it read {}", input.data_bytes, bytes));
    return {bytes, input.distinct_bytes};
}

/// Whatever their kernels, they have read the same names and bytes, and those of the dataset.
void check_digest(const CellInput &input, const json &first, const json &answer, int instance)
{
    const auto digest = answer.value("digest", "");
    if (digest != first.value("digest", ""))
        throw std::runtime_error(fmt::format(
            "expected guest {} to read the bytes that the first has read, it read others", instance + 1));
    if (answer.value("whole", false) && !input.digest.empty() && digest != input.digest)
        throw std::runtime_error(fmt::format(
            "expected guest {} to read the dataset's names and bytes (digest {}), it read others ({})",
            instance + 1, input.digest, digest));
}

vector<Measurement> run_boot(const CellInput &input, int boot, GuestHost &host, CellResult &result)
{
    const auto &cell = input.cell;
    Gathering gathering(cell.workloads.size(), cell.instances);
    {
        vector<std::jthread> threads;
        for (int instance = 0; instance < cell.instances; ++instance)
            threads.emplace_back([&, instance] {
                guest_thread(input, {boot, instance}, host, gathering, result);
            });
    }
    gathering.rethrow();
    if (boot == 0)
        result.proof.erase("kernel_warnings"); // of one guest
    for (const auto &line : gathering.warnings())
        result.proof["kernel_warnings"].push_back(line);
    vector<Measurement> rows;
    for (std::size_t index = 0; index < cell.workloads.size(); ++index) {
        const auto id = cell.workloads[index].at("id").get<string>();
        auto raw = json::array();
        for (const auto &guest : gathering.memory[index])
            raw.push_back({{"memory_before", guest.before}, {"memory_after", guest.after}});
        const auto &answers = gathering.answers[index];
        for (std::size_t guest = 0; guest < answers.size(); ++guest)
            check_digest(input, answers.front(), answers[guest], static_cast<int>(guest));
        result.raw.push_back(
            {{"boot", boot}, {"workload", id}, {"answer", answers.front()}, {"guests", raw}});
        auto more =
            duplication_measurements(cell, id, gathering.memory[index], read_bytes(input, answers.front()));
        rows.insert(rows.end(), more.begin(), more.end());
    }
    return rows;
}

} // namespace

vector<Measurement> duplication_measurements(const Cell &cell, const string &workload,
                                             const vector<InstanceMemory> &guests, ReadBytes read)
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
    const auto copies = sum(guests, page_cache) + sum(guests, image_pss);
    const auto add_factor = [&](const char *metric, std::uint64_t once) {
        if (once == 0)
            return;
        auto factor = measurement_of(cell, workload, metric, "ratio");
        factor.samples = {copies / double(once)};
        rows.push_back(std::move(factor));
    };
    add_factor("duplication_factor", read.data);
    add_factor("distinct_factor", read.distinct);
    return rows;
}

void run_instances(const CellInput &input, GuestHost &host, CellResult &result)
{
    if (input.data_bytes == 0)
        throw std::runtime_error("expected a dataset with data in it, it has none");
    vector<Measurement> rows;
    for (int boot = 0; boot < input.cell.boots; ++boot)
        add_samples(rows, run_boot(input, boot, host, result));
    result.measurements = std::move(rows);
}

} // namespace daxbench
