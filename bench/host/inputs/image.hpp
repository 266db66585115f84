// SPDX-License-Identifier: Apache-2.0
// Filesystem images made from datasets by the commands declared in workloads/images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "dataset.hpp"
#include "input_specs.hpp"
#include "process.hpp"

namespace daxbench {

// {name} → value in a command, e.g. {"mkdaxfs", "/…/build/mkdaxfs/mkdaxfs"}.
using Substitutions = std::map<std::string, std::string>;

struct Image {
    std::string id;
    std::string dataset;
    std::filesystem::path path;
    std::uint64_t bytes = 0;  // of the image, before padding
    bool built = false;       // just now; otherwise found in the cache
    double build_seconds = 0; // wall clock of the command when it was built
    std::string xxh3;         // XXH3-128 of the file as built, before padding
    std::string tool_version;
    Argv command; // as run, {out} shown as the final path
    std::string
        declaration; // the command without this machine's paths: DATASET for the tree, ID.img for the image
};

// An image's tool, ready to run: found or fetched.
struct ImageTool {
    std::filesystem::path program;
    Argv command; // {source} and {out} are left to image_command()
    std::string version;
    Argv check = {}; // {out} is left to image_command(); may be empty
};
ImageTool image_tool(const ImageSpec &spec, Substitutions substitutions, const Progress &progress);
Argv image_command(const ImageTool &tool, const std::string &source, const std::string &out);
Argv check_command(const ImageTool &tool, const std::string &image);

// Builds, or finds in the cache: the key covers the dataset's content, the command, the tool's
// version and the tool's binary.
Image ensure_image(const ImageSpec &spec, const Dataset &dataset, Substitutions substitutions,
                   const Progress &progress);

// The tools disk: an EROFS image with fio, its shared libraries and their loader, as
// bin/fio and lib/*; run as lib/ld-linux… --library-path lib bin/fio.
struct ToolsImage {
    std::filesystem::path path;
    std::map<std::string, std::string> versions; // {"fio": "fio-3.33"}
};
ToolsImage ensure_tools_image(const Progress &progress);

} // namespace daxbench
