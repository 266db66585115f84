// SPDX-License-Identifier: Apache-2.0
// Programs that must be newer than the machine's own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "input_specs.hpp"
#include "process.hpp"

namespace daxbench {

// The first number with a dot in what a program says of its version: "mkfs.erofs 1.5" → "1.5"; "" for none.
std::string version_in(std::string_view text);

// The machine's own program where that is new enough, otherwise the package's of the release it
// names, unpacked into the cache and started through that release's loader and libraries.
std::filesystem::path ensure_program(const ProgramSpec &spec, const Progress &progress);

} // namespace daxbench
