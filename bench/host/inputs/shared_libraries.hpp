// SPDX-License-Identifier: Apache-2.0
// What a program of the host needs beside it to run elsewhere.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace daxbench {

// Output of ldd(1) → absolute paths of the libraries, the loader included; the vdso left out.
// Throws when one is "not found".
std::vector<std::filesystem::path> parse_ldd(std::string_view text);
std::vector<std::filesystem::path> library_closure(const std::filesystem::path &program);

} // namespace daxbench
