// SPDX-License-Identifier: Apache-2.0
// manifest [--mode read|data|mmap-shared|mmap-private] [--threads N] DIR: the tree's manifest on stdout.
#include "manifest.hpp"

#include <cstdio>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "io.hpp"

int main(int argc, char **argv)
{
    CLI::App app{"Writes what a directory tree holds, one JSON object a line", "manifest"};
    std::string mode = "read";
    std::string directory;
    daxbench::ManifestOptions options;
    app.add_option("--mode", mode, "how files are read")
        ->check(CLI::IsMember({"read", "data", "mmap-shared", "mmap-private"}));
    app.add_option("--threads", options.threads, "readers at once; 0: one for each core");
    app.add_option("DIR", directory, "the tree's root")->required();
    CLI11_PARSE(app, argc, argv);
    try {
        options.mode = daxbench::parse_manifest_mode(mode);
        std::string text;
        for (const std::string &line : daxbench::make_manifest(directory, options))
            text += line + "\n";
        daxbench::write_all(1, text);
        return 0;
    } catch (const std::exception &error) {
        fmt::print(stderr, "manifest: {}\n", error.what());
        return 1;
    }
}
