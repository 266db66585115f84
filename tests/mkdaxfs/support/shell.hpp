// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace daxfs::test {

// What a shell command prints, for programs that tests compare with; its status is
// appended to what it says when it is not 0.
inline std::string shell(const std::string &command)
{
    std::string text;
    std::FILE *pipe = popen((command + " 2>&1").c_str(), "r");
    if (!pipe)
        return "cannot start a shell";
    char buffer[4096];
    for (std::size_t got; (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
        text.append(buffer, got);
    const int status = pclose(pipe);
    if (status != 0)
        text += " (status " + std::to_string(status) + " of: " + command + ")";
    return text;
}

inline bool have_program(const std::string &name)
{
    return shell("command -v " + name + " >/dev/null").empty();
}

} // namespace daxfs::test
