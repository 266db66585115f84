// SPDX-License-Identifier: Apache-2.0
// Driver "frames": one guest, whose engine counts its own memory; after each workload the host counts what it
// holds for that guest.
#include <cmath>

#include "driver.hpp"

namespace daxbench {

std::vector<Measurement> host_frame_measurements(const Cell &cell, const std::string &workload,
                                                 const HostMemory &host)
{
    const auto parts = host.image.rss + host.ram.rss + host.rest.rss;
    const double missing = double(host.resident) - double(parts);
    const struct {
        const char *metric;
        double value;
    } figures[] = {{"host_rss_bytes", double(host.resident)},
                   {"host_rss_image_bytes", double(host.image.rss)},
                   {"host_rss_ram_bytes", double(host.ram.rss)},
                   {"host_rss_files_bytes", double(host.files.rss)},
                   {"host_rss_anonymous_bytes", double(host.rest.rss - host.files.rss)},
                   {"host_pss_image_bytes", double(host.image.pss)},
                   {"host_page_table_bytes", double(host.page_tables)},
                   {"host_unaccounted_bytes", missing},
                   {"host_unaccounted_ratio", std::abs(missing) / double(host.resident)}};
    std::vector<Measurement> rows;
    for (const auto &figure : figures) {
        const bool ratio = std::string_view(figure.metric).ends_with("_ratio");
        auto row = measurement_of(cell, workload, figure.metric, ratio ? "ratio" : "bytes");
        row.samples = {figure.value};
        rows.push_back(std::move(row));
    }
    return rows;
}

void run_frames(const CellInput &input, GuestHost &host, CellResult &result)
{
    const auto guest = boot_and_mount(input, host, {}, result);
    for (const auto &workload : input.cell.workloads) {
        const auto id = workload.at("id").get<std::string>();
        host.step(input.cell, id);
        const auto answer = guest->call(run_request(workload), Seconds(input.cell.timeout_s));
        for (auto &row : measurements_of(input.cell, id, input.clock, answer))
            result.measurements.push_back(std::move(row));
        for (auto &row : host_frame_measurements(input.cell, id, guest->host_memory()))
            result.measurements.push_back(std::move(row));
        result.raw.push_back({{"workload", id}, {"answer", answer}});
        check_kernel_log(input, *guest, result.proof);
    }
    host.step(input.cell, "powering off");
    guest->shutdown();
}

} // namespace daxbench
