// SPDX-License-Identifier: Apache-2.0
// The rooms of docs/architecture.md are those of the tree: every folder with sources is one, and a file
// includes only what its room may use; no two files include each other, directly or by others.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_files = 25; // of a room that a person sees at once

const fs::path root = DAXFS_SOURCE_ROOT;

std::string text_of(const fs::path &file)
{
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

bool is_source(const fs::path &file)
{
    static const std::set<std::string> kinds = {".c", ".h", ".cpp", ".hpp"};
    return kinds.contains(file.extension().string());
}

std::vector<fs::path> sources_in(const fs::path &room)
{
    std::vector<fs::path> files;
    for (const auto &entry : fs::directory_iterator(root / room))
        if (is_source(entry.path()))
            files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

/// Rows `| ROOM | concern | ROOM, ROOM |` of the document: what each room names, and all that follows.
std::map<std::string, std::set<std::string>> declared_rooms()
{
    static const std::regex row(R"(\| `([^`]+)` \|[^|]*\|([^|]*)\|)");
    static const std::regex name("`([^`]+)`");
    std::map<std::string, std::set<std::string>> rooms;
    std::istringstream lines(text_of(root / "docs/architecture.md"));
    std::smatch match;
    for (std::string line; std::getline(lines, line);) {
        if (!std::regex_match(line, match, row))
            continue;
        auto &uses = rooms[match[1]];
        const std::string named = match[2];
        for (std::sregex_iterator at(named.begin(), named.end(), name), end; at != end; ++at) {
            const std::string used = (*at)[1];
            EXPECT_TRUE(rooms.contains(used)) << match[1] << " uses " << used << ", which is not above it";
            uses.insert(used);
            uses.insert(rooms[used].begin(), rooms[used].end());
        }
    }
    return rooms;
}

std::vector<std::string> includes_of(const fs::path &file)
{
    static const std::regex line("\n[ \t]*#[ \t]*include \"([^\"]+)\"");
    const auto text = "\n" + text_of(file);
    std::vector<std::string> names;
    for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at)
        names.push_back((*at)[1]);
    return names;
}

/// A header and its source are one: "ROOM/NAME".
std::string unit_of(const fs::path &file)
{
    return fs::relative(file, root).replace_extension().string();
}

TEST(Rooms, AreThoseOfTheDocument)
{
    const auto rooms = declared_rooms();
    ASSERT_GT(rooms.size(), 20U);
    for (const auto &[room, uses] : rooms) {
        const auto files = sources_in(room).size();
        EXPECT_GT(files, 0U) << room;
        EXPECT_LE(files, most_files) << room;
    }
    for (const std::string top : {"common", "kmod", "mkdaxfs", "mount", "bench"})
        for (const auto &entry : fs::recursive_directory_iterator(root / top))
            if (is_source(entry.path())) {
                EXPECT_TRUE(rooms.contains(fs::relative(entry.path().parent_path(), root).string()))
                    << entry.path();
            }
}

TEST(Rooms, UseOnlyWhatTheyMay)
{
    const auto rooms = declared_rooms();
    for (const auto &[room, uses] : rooms)
        for (const auto &file : sources_in(room))
            for (const auto &name : includes_of(file)) {
                if (fs::exists(root / room / name))
                    continue;
                const bool found = std::ranges::any_of(
                    uses, [&name](const auto &used) { return fs::exists(root / used / name); });
                EXPECT_TRUE(found) << fs::relative(file, root) << " includes " << name
                                   << ", which is in no room that " << room << " may use";
            }
}

TEST(Rooms, HaveNoCircles)
{
    std::map<std::string, std::set<std::string>> graph;
    for (const auto &[room, uses] : declared_rooms())
        for (const auto &file : sources_in(room))
            for (const auto &name : includes_of(file))
                if (fs::exists(root / room / name) && unit_of(root / room / name) != unit_of(file))
                    graph[unit_of(file)].insert(unit_of(root / room / name));
    std::set<std::string> done;
    std::vector<std::string> path;
    const std::function<void(const std::string &)> visit = [&](const std::string &unit) {
        if (const auto at = std::ranges::find(path, unit); at != path.end()) {
            std::string circle;
            for (auto step = at; step != path.end(); ++step)
                circle += *step + " -> ";
            ADD_FAILURE() << circle << unit;
            return;
        }
        if (!done.insert(unit).second)
            return;
        path.push_back(unit);
        for (const auto &next : graph[unit])
            visit(next);
        path.pop_back();
    };
    const auto units = graph;
    for (const auto &[unit, next] : units)
        visit(unit);
}

} // namespace
