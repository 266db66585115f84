// SPDX-License-Identifier: Apache-2.0
// Running one cell: boot, mount, prove, measure, check, power off.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "measurement.hpp"
#include "plan.hpp"
#include "profile.hpp"
#include "session.hpp"
#include "spec.hpp"

namespace daxbench {

struct CellInput {
    Cell cell;
    FilesystemSpec filesystem;
    std::string probe_file = "large";   ///< what the proof reads: a file of the dataset, or the largest
    std::uint64_t data_bytes = 0;       ///< of the dataset, each inode once, whole pages
    std::uint64_t distinct_bytes = 0;   ///< the same over distinct contents
    std::string digest;                 ///< of all names and bytes (content_digest()); "" where not known
    std::uint64_t image_bytes = 0;      ///< of the image's file
    std::string clock = "instructions"; ///< what guest nanoseconds are: "instructions" or "ns"
    std::string medium_note;            ///< what the medium is not, other than declared, and why; or ""
};

/// Everything a cell gave. `status`: "ok", "failed", "skipped" or "interrupted".
struct CellResult {
    std::string status = "ok";
    std::string error; ///< first one, one line; "" when ok
    double seconds = 0;
    nlohmann::json hello = nullptr; ///< of the first guest
    nlohmann::json proof = nullptr; ///< what the first guest's mount has shown
    std::vector<std::string> qemu;  ///< command of the first guest
    std::vector<Measurement> measurements;
    nlohmann::json raw = nlohmann::json::array(); ///< the agents' answers as they came
};

/// Runs the cell with the driver it names. Never throws for what goes wrong in a guest: that is
/// the result's status and error.
CellResult run_cell(const CellInput &input, GuestHost &host);

// ---- the steps, public for the drivers and the tests ----

/// Where every filesystem is mounted in a guest.
inline constexpr const char *mount_target = "/mnt/x";

/// load, for a filesystem that needs modules; otherwise nothing.
std::vector<Request> load_requests(const CellInput &input);
/// mount or seed, then prove, whose answer is the proof: an error where the mount is not what its
/// name says.
std::vector<Request> mount_requests(const CellInput &input);
Request run_request(const nlohmann::json &workload);
/// The first steps of a cell with one guest: booted, modules loaded, mounted, proved, its log clean.
std::unique_ptr<GuestSession> boot_and_mount(const CellInput &input, GuestHost &host,
                                             const std::vector<Request> &script, CellResult &result);
/// Makes the calls; returns the last one's answer.
nlohmann::json call_all(const CellInput &input, GuestSession &guest, const std::vector<Request> &requests);
/// What the guest's kernel printed since the last time.
Request log_request();
/// Throws when the guest's kernel has printed a warning, a bug or a sanitizer's report. One that the
/// filesystem declares is known: it is noted in the proof, "kernel_warnings".
void check_kernel_log(const CellInput &input, GuestSession &guest, nlohmann::json &proof);
/// Those among kernel log entries (strings, or objects with "text") that tell of a bug.
std::vector<std::string> kernel_complaints(const nlohmann::json &lines);
/// The first of them, or "".
std::string kernel_complaint(const nlohmann::json &lines);

struct Trace {
    Routines routines;
    std::vector<Section> sections;
    nlohmann::json answers = nlohmann::json::array(); ///< of the workloads, in their order
};

/// Boots a guest with the plugin and runs the cell's workloads, each result's passes once more between marks.
/// Throws what goes wrong.
Trace trace_cell(const CellInput &input, GuestHost &host, CellResult &result);

void run_single(const CellInput &input, GuestHost &host, CellResult &result);
void run_traced(const CellInput &input, GuestHost &host, CellResult &result);
void run_instances(const CellInput &input, GuestHost &host, CellResult &result);
void run_frames(const CellInput &input, GuestHost &host, CellResult &result);
void run_hostile(const CellInput &input, GuestHost &host, CellResult &result);

/// Rows of what the host holds for one guest, by mapping; the sum of all mappings against what the kernel
/// counts.
std::vector<Measurement> host_frame_measurements(const Cell &cell, const std::string &workload,
                                                 const HostMemory &host);

/// What one guest of the `instances` driver counted, bytes.
struct InstanceMemory {
    nlohmann::json before; ///< the agent's `memory` answer before the mount
    nlohmann::json after;  ///< and after the workload
    HostMemory host;       ///< of its QEMU, taken while all guests were alive
    double ram = 0;        ///< what its machine has
};

/// What the guests have read, in whole pages: each inode once; and each content once, 0 where only a part was
/// read. With 0 there is no factor.
struct ReadBytes {
    std::uint64_t data = 0;
    std::uint64_t distinct = 0;
};

/// Rows of the memory metrics.
std::vector<Measurement> duplication_measurements(const Cell &cell, const std::string &workload,
                                                  const std::vector<InstanceMemory> &guests, ReadBytes read);

} // namespace daxbench
