// SPDX-License-Identifier: Apache-2.0
// Filesystem images made from datasets by the commands declared in workloads/images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataset.hpp"
#include "process.hpp"

namespace daxbench {

// A program that the machine's own package may be too old for; fetched privately then.
struct ProgramSpec {
    std::string name;              // e.g. "mkfs.erofs"; what it prints for --version is compared
    std::string at_least;          // version, as dpkg orders them
    std::string package;           // Debian package with it
    std::string release;           // of Debian, where that package is new enough, e.g. "trixie"
    std::vector<std::string> also; // programs of that package that are wanted beside it
};

// One file of workloads/images/*.toml.
struct ImageSpec {
    std::string id;
    Argv command; // placeholders: {out} {source}, {program}, {programs} and those of Substitutions
    Argv check;   // checks the image {out}, without a word to say; may be empty
    std::optional<ProgramSpec> program; // what {program} stands for; {programs}: its folder
    Argv version;                       // prints the tool's version on stdout or stderr; may be empty
    std::uint64_t align = 0;            // the file is padded with zeros to a multiple (virtio-pmem: 2 MiB)
};

// {name} → value in a command, e.g. {"mkdaxfs", "/…/build/mkdaxfs/mkdaxfs"}.
using Substitutions = std::map<std::string, std::string>;

struct Image {
    std::string id;
    std::string dataset;
    std::filesystem::path path;
    std::uint64_t bytes = 0;  // of the image, before padding
    double build_seconds = 0; // wall clock of the command when it was built
    std::string xxh3;         // XXH3-128 of the file as built, before padding
    std::string tool_version;
    Argv command; // as run, {out} shown as the final path
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

// ---- shared with the initramfs, public for the tests ----

// Output of ldd(1) → absolute paths of the libraries, the loader included; the vdso left out.
// Throws when one is "not found".
std::vector<std::filesystem::path> parse_ldd(std::string_view text);
std::vector<std::filesystem::path> library_closure(const std::filesystem::path &program);

} // namespace daxbench
