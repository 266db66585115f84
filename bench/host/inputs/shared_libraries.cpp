// SPDX-License-Identifier: Apache-2.0
#include "shared_libraries.hpp"

#include <sstream>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include "process.hpp"

namespace daxbench {

namespace fs = std::filesystem;

std::vector<fs::path> parse_ldd(std::string_view text)
{
    std::vector<fs::path> libraries;
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);) {
        if (line.find("not found") != std::string::npos)
            throw std::runtime_error(fmt::format("expected every shared library, but ldd says:{}", line));
        const auto from = line.find('/');
        const auto to = line.find(" (0x", from == std::string::npos ? 0 : from);
        if (from == std::string::npos || to == std::string::npos)
            continue; // the vdso, or "statically linked"
        // "/lib64/ld-linux-x86-64.so.2 => /lib64/…" does not occur without a prefix; take the last.
        const auto arrow = line.find("=> ");
        const auto begin = arrow == std::string::npos ? from : arrow + 3;
        libraries.emplace_back(line.substr(begin, to - begin));
    }
    return libraries;
}

std::vector<fs::path> library_closure(const fs::path &program)
{
    const auto result = run_command({"ldd", program.string()}, {.env = {{"LC_ALL", "C"}}});
    if (!result.ok())
        return {}; // a static program: "not a dynamic executable"
    return parse_ldd(result.out);
}

} // namespace daxbench
