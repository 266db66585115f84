// SPDX-License-Identifier: Apache-2.0
#include "profile.hpp"

#include <array>
#include <set>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "marks.hpp"

namespace daxbench {

namespace {

PhaseName phase_of(std::size_t part, std::size_t entry)
{
    static const std::array<const char *, marks::parts> part_names = {"start", "run", "end"};
    static const std::array<const char *, marks::entries> entry_names = {"other", "syscall", "fault",
                                                                         "interrupt"};
    return {part_names.at(part), entry_names.at(entry)};
}

/// One line "u …", "k …" or "a …" into SECTION; false where it is none.
bool add_line(const std::string &line, Section &section)
{
    std::istringstream words(line);
    if (line.starts_with("m ")) {
        std::string name;
        words >> name >> name;
        return static_cast<bool>(words >> section.model[name]);
    }
    char kind = 0;
    std::size_t part = 0;
    std::size_t entry = 0;
    CountedInstruction counted;
    if (!(words >> kind >> part >> entry) || part >= marks::parts || entry >= marks::entries)
        return false;
    counted.phase = phase_of(part, entry);
    if (kind == 'u') {
        words >> counted.count;
        section.user[counted.phase] += counted.count;
    } else if (kind == 'k') {
        words >> counted.address >> counted.count >> counted.size >> counted.branch;
        section.kernel.push_back(counted);
    } else if (kind == 'a') {
        words >> counted.address >> counted.count;
        section.again.push_back(counted);
    } else {
        return false;
    }
    return static_cast<bool>(words);
}

} // namespace

std::vector<Section> parse_profile(std::string_view text)
{
    std::vector<Section> sections;
    std::istringstream lines{std::string(text)};
    bool open = false;
    for (std::string line; std::getline(lines, line);) {
        const bool starts = line == fmt::format("section {}", sections.size());
        if (starts && !open)
            sections.emplace_back();
        else if (!open || (line != "end" && !add_line(line, sections.back())))
            throw std::runtime_error(
                fmt::format("expected the profile plugin's file, got the line '{}'", line));
        open = line != "end";
    }
    if (open)
        throw std::runtime_error(
            "expected the profile plugin's file with whole sections, the last has no end");
    return sections;
}

RoutineCounts count_routines(const Section &section, const Routines &routines)
{
    RoutineCounts counts;
    // Which entry of the kernel came last says nothing of the user's own code.
    const auto in_user_space = [](const PhaseName &phase) {
        return std::pair{user_space, PhaseName{phase.part, "user"}};
    };
    for (const auto &[phase, count] : section.user)
        counts[in_user_space(phase)] += count;
    for (const auto &counted : section.kernel)
        counts[{routines.at(counted.address), counted.phase}] += counted.count;
    for (const auto &counted : section.again)
        counts[counted.address ? std::pair{routines.at(counted.address), counted.phase}
                               : in_user_space(counted.phase)] -= counted.count;
    std::erase_if(counts, [](const auto &entry) { return entry.second == 0; });
    return counts;
}

CodeSize code_size(const Section &section, const Routines &routines,
                   const std::function<bool(const Routine &)> &belongs)
{
    CodeSize size;
    std::set<Routine> functions;
    std::set<std::uint64_t> places;
    for (const auto &counted : section.kernel) {
        const auto &routine = routines.at(counted.address);
        if (counted.phase.entry == "interrupt" || !belongs(routine))
            continue;
        size.instructions += counted.count;
        functions.insert(routine);
        if (!places.insert(counted.address).second)
            continue;
        size.branches += counted.branch;
        size.bytes += counted.size;
    }
    for (const auto &counted : section.again)
        if (counted.address && counted.phase.entry != "interrupt" && belongs(routines.at(counted.address)))
            size.instructions -= counted.count;
    size.functions = functions.size();
    size.places = places.size();
    return size;
}

nlohmann::json entry_routines(bool parts)
{
    nlohmann::json routines = {{"entry_SYSCALL_64", marks::syscall},
                               {"asm_exc_page_fault", marks::fault},
                               {"asm_sysvec_*", marks::interrupt},
                               {"asm_common_interrupt", marks::interrupt}};
    if (parts) {
        // The last that execve(2) does of an ELF program, and the first that an exit does.
        routines["start_thread"] = marks::first_part_code + marks::run;
        routines["do_exit"] = marks::first_part_code + marks::finish;
    }
    return {{"routines", routines}};
}

} // namespace daxbench
