// SPDX-License-Identifier: Apache-2.0
// What workloads/*.toml declares, as plain structs. Data only: nothing here runs anything.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "input_specs.hpp"

namespace daxbench {

/// What a mount must show before anything measured on it may carry the filesystem's name.
struct ProofSpec {
    std::vector<std::string> options; ///< each must be in the options read back from mountinfo
    bool dax = false;                 ///< STATX_ATTR_DAX set (true) or clear (false)
    bool page_cache = false;          ///< whether a data read goes through the page cache
};

struct FilesystemSpec {
    std::string id;
    std::string label;                 ///< for people: tables and figures
    std::string variant_of;            ///< the filesystem it is a variant of, and no rival to; or ""
    std::string type;                  ///< as mount(8) calls it
    std::vector<std::string> modules;  ///< of the guest kernel's own package
    std::string external_module;       ///< build/kmod/RELEASE/NAME.ko, "" for none
    std::string medium;                ///< one of media() (media.hpp); "none": nothing is mounted
    std::string image;                 ///< image id behind the mount; "" when the medium is "ram"
    std::string seed;                  ///< image id copied into the mount; "" unless the medium is "ram"
    std::string options;               ///< mount options
    std::vector<std::string> settings; ///< of the kernel: "FILE=TEXT", written before the mount
    bool overlay = false;              ///< an OverlayFS with an empty layer above it is what is measured
    std::string since_kernel;          ///< the first version with it, such as "7.0"; "" for all
    std::vector<std::string> kernel_warnings; ///< texts of warnings that are known, and counted, not failures
    ProofSpec prove;

    bool mounts() const { return medium != "none"; }
    /// The id of the one image a guest of this filesystem needs; "" where it mounts nothing.
    const std::string &needed_image() const { return image.empty() ? seed : image; }
};

struct WorkloadSpec {
    std::string id;
    nlohmann::json arguments; ///< the table as written; what the agent gets
};

/// Programs that a guest finds beside its data: an image of a dataset, on a device of its own.
struct ToolsSpec {
    std::string dataset;
    std::string image;
};

enum class Driver { single, instances, frames, hostile, traced, build };
enum class ClockKind { instructions, none };

struct ExperimentSpec {
    std::string id;
    std::string title;
    Driver driver = Driver::single;
    ClockKind clock = ClockKind::none;
    bool every_run = false; ///< part of every run with guests, whatever its suite and profile name
    std::vector<std::string> datasets;
    std::vector<std::string> filesystems; ///< driver build: images
    std::vector<std::string> workloads;
    std::map<std::string, std::vector<std::string>> dataset_workloads; ///< replaces workloads there
    std::vector<int> instances{1};
    std::vector<std::string> kernels;              ///< each cell once on each of them; none: on the run's own
    std::vector<std::string> mixed_kernels;        ///< instead: of the guests of one cell, in turn
    std::string other_dataset;                     ///< driver hostile: whose image is swapped in
    int memory_mib = 0;                            ///< of each guest
    int cpus = 1;                                  ///< of each guest where nanoseconds are measured
    int emulated_cpus = 1;                         ///< of each guest elsewhere
    std::optional<ToolsSpec> tools;                ///< in place of the tools image, which has fio
    int timeout_s = 0;                             ///< for each single step of a guest, or run of a tool
    double estimate_s = 0;                         ///< rough time of one cell, for the first shown time left
    std::vector<std::string> table{"cost_per_op"}; ///< metrics of the table on the terminal
};

/// Overrides; what is absent stays as declared. Lists keep only what they name.
struct ProfileSpec {
    std::optional<int> repetitions;
    std::optional<int> boots; ///< of the guests of driver instances; absent: 1
    std::optional<int> limit; ///< upper bound of every workload's own limit
    std::optional<std::vector<std::string>> experiments;
    std::optional<std::vector<std::string>> datasets;
    std::optional<std::vector<std::string>> filesystems;
    std::optional<std::vector<std::string>> workloads;
    std::optional<std::vector<int>> instances;
    std::optional<std::vector<std::string>> kernels; ///< also of experiments that name none
};

/// The experiment under which images' sizes and times are listed, whatever the suite.
inline constexpr const char *image_experiment = "image-build";

/// What a figure of the run must not exceed.
struct LimitSpec {
    std::string title;
    nlohmann::json row;              ///< keys of the rows it is about; the highest of them counts
    std::optional<double> at_most;   ///< in the rows' unit; otherwise relative to other rows:
    nlohmann::json against;          ///< keys that differ there, null for none
    std::vector<std::string> rivals; ///< filesystems instead of the row's own; the lowest counts
    double times = 1;
};

struct SuiteSpec {
    std::string id;
    std::string title;
    std::string subject; ///< the filesystem whose rows are judged at the table's end, or ""
    std::vector<std::string> experiments;
    std::vector<std::string> kernels; ///< of the experiments that name none
    std::map<std::string, ProfileSpec> profiles;
    std::vector<LimitSpec> limits; ///< in the order of their names
};

/// What a figure means; workloads/metrics.toml.
struct MetricSpec {
    std::string label;     ///< for people
    std::string better;    ///< "lower", "higher"; "": a description, which is not judged
    double margin = 0.005; ///< figures whose difference is at most this part of the smaller are equal
};

struct Catalogue {
    std::filesystem::path root;
    std::map<std::string, MetricSpec> metrics;
    std::map<std::string, FilesystemSpec> filesystems;
    std::map<std::string, ImageSpec> images;
    std::map<std::string, DatasetSpec> datasets;
    std::map<std::string, WorkloadSpec> workloads;
    std::map<std::string, ExperimentSpec> experiments;
    std::map<std::string, SuiteSpec> suites;
};

/// Reads and checks everything below `root`, and the declarations `with`, files of any folder: what they are
/// is told by their keys. Each joins the experiments it fits (join.hpp).
/// Throws std::runtime_error with one line, `FILE:LINE: KEY: expected ..., got ...`, for the first thing that
/// is wrong.
Catalogue load_catalogue(const std::filesystem::path &root,
                         const std::vector<std::filesystem::path> &with = {});

/// Is it a name of a kernel: "6.1", "7.3-debug", "7.3+dax-map-ahead"?
bool is_kernel_name(const std::string &name);

const char *name_of(Driver driver);
const char *name_of(ClockKind clock);

} // namespace daxbench
