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

/// What the bench's host side names as paths.build / "...", with the file that does.
std::set<std::pair<std::string, std::string>> taken_from_the_build()
{
    static const std::regex use(R"re(paths\.build\s*/\s*"([^"]+)")re");
    std::set<std::pair<std::string, std::string>> taken;
    for (const auto &entry : fs::recursive_directory_iterator(DAXFS_SOURCE_ROOT "/bench/host")) {
        if (entry.path().extension() != ".cpp")
            continue;
        std::ifstream stream(entry.path());
        std::ostringstream text;
        text << stream.rdbuf();
        const std::string source = text.str();
        for (std::sregex_iterator at(source.begin(), source.end(), use), end; at != end; ++at)
            taken.emplace((*at)[1], entry.path().filename());
    }
    return taken;
}

TEST(Product, HasAllThatTheBenchTakesFromItsBuildFolder)
{
    const auto members = members_of("product");
    const auto taken = taken_from_the_build();
    ASSERT_GE(taken.size(), 4U) << "the bench's sources were not understood";
    for (const auto &[path, file] : taken) {
        const auto at = members.lower_bound(path);
        const bool is_there = at != members.end() && (*at == path || at->starts_with(path + "/"));
        EXPECT_TRUE(is_there) << file << " takes " << path << ", which meson.build's product lacks";
    }
}

} // namespace
