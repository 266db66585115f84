// SPDX-License-Identifier: Apache-2.0
// Driver "build": the tools that make images, measured on the host itself, without a guest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataset.hpp"
#include "driver.hpp"
#include "image.hpp"
#include "plan.hpp"

namespace daxbench {

/// What making one image once has cost.
struct BuildSample {
    double seconds = 0;           ///< wall clock, from fork to the end of the program
    double cpu_seconds = 0;       ///< user and system
    double flush_seconds = 0;     ///< then, until the image was on the medium
    std::uint64_t peak_bytes = 0; ///< largest resident set
    std::uint64_t image_bytes = 0;
    std::string image_xxh3;
    std::optional<double> check_seconds; ///< wall clock of the check; none without one
};

/// What the driver needs of the host. An interface, so that the order of things is tested without
/// running a tool.
class BuildHost {
public:
    virtual ~BuildHost() = default;
    /// Makes the cell's image once, checks it if asked to, and removes it again. Throws one line.
    virtual BuildSample build(const Cell &cell, bool check) = 0;
    /// Takes the dataset out of the page cache; returns how: part of the proof.
    virtual std::string make_cold() = 0;
    virtual void step(const Cell &cell, const std::string &text) = 0;
};

/// Measures cells of one dataset together. The tools take turns, and each round begins with another one, so
/// that what changes on the machine meanwhile meets all alike. A tool that fails leaves the others to be
/// measured. `files`: names in the dataset. Throws only Interrupted.
std::vector<CellResult> run_builds(const std::vector<Cell> &cells, std::uint64_t files, BuildHost &host);

struct BuildHostOptions {
    std::filesystem::path measured;  ///< the program that runs a tool and counts
    std::filesystem::path work_root; ///< where images are written; on the medium of the dataset
    std::filesystem::path log_root;
    std::function<void(const std::string &cell, const std::string &text)> step;
};

/// The machine itself. `tools` by image id.
std::unique_ptr<BuildHost> make_build_host(Dataset dataset, std::map<std::string, ImageTool> tools,
                                           BuildHostOptions options);

/// Takes the files below `root` out of the page cache as far as this user may; returns how.
std::string drop_from_cache(const std::filesystem::path &root);

} // namespace daxbench
