// SPDX-License-Identifier: Apache-2.0
// run-bench builds the target "product" alone: what the bench takes from its build folder must be in it. A
// folder where everything was built once does not show what is missing.
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

/// What the target stands for, by paths in the build folder.
std::set<std::string> members_of(const std::string &target)
{
    const std::string command = "ninja -C '" DAXFS_BUILD_ROOT "' -t query " + target;
    std::FILE *const pipe = ::popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> part{};
    for (std::size_t got; pipe && (got = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
        text.append(part.data(), got);
    EXPECT_TRUE(pipe && ::pclose(pipe) == 0) << command;
    std::set<std::string> members;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line) && line != "  outputs:";)
        if (line.starts_with("    | "))
            members.insert(line.substr(6));
    return members;
}

std::string text_of(const fs::path &file)
{
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

/// What the bench's host side names as paths.build / "...", and declarations as {build}/..., with the file
/// that does.
std::set<std::pair<std::string, std::string>> taken_from_the_build()
{
    static const std::regex use(R"re((?:paths\.build\s*/\s*"|"\{build\}/)([^"]+)")re");
    std::set<std::pair<std::string, std::string>> taken;
    for (const fs::path top : {DAXFS_SOURCE_ROOT "/bench/host", DAXFS_SOURCE_ROOT "/workloads"}) {
        for (const auto &entry : fs::recursive_directory_iterator(top)) {
            const auto kind = entry.path().extension();
            if (kind != ".cpp" && kind != ".toml")
                continue;
            const std::string text = text_of(entry.path());
            for (std::sregex_iterator at(text.begin(), text.end(), use), end; at != end; ++at)
                taken.emplace((*at)[1], entry.path().filename());
        }
    }
    return taken;
}

TEST(Product, HasAllThatTheBenchTakesFromItsBuildFolder)
{
    const auto members = members_of("product");
    const auto taken = taken_from_the_build();
    ASSERT_GE(taken.size(), 8U) << "the bench's sources were not understood";
    for (const auto &[path, file] : taken) {
        const auto at = members.lower_bound(path);
        const bool is_there = at != members.end() && (*at == path || at->starts_with(path + "/"));
        EXPECT_TRUE(is_there) << file << " takes " << path << ", which meson.build's product lacks";
    }
}

} // namespace
