// SPDX-License-Identifier: Apache-2.0
// The plugin's file: sections of counts.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "routines.hpp"

namespace daxbench {

/// When: a part of a program's life ("start", "run", "end") and why the kernel runs ("syscall", "fault",
/// "interrupt", "other").
struct PhaseName {
    std::string part;
    std::string entry;
    auto operator<=>(const PhaseName &) const = default;
};

struct CountedInstruction {
    PhaseName phase;
    std::uint64_t address = 0;
    std::int64_t count = 0;
    unsigned size = 0; ///< bytes
    bool branch = false;
};

/// Between two marks.
struct Section {
    std::vector<CountedInstruction> kernel;
    std::map<PhaseName, std::int64_t> user;
    /// What was counted at a fault and is counted again when it is done; address 0: in user space.
    std::vector<CountedInstruction> again;
    std::map<std::string, std::int64_t> model; ///< of the plugin's model; empty without
};

/// What a part of the kernel's code comes to in a section, interrupts left out.
struct CodeSize {
    std::int64_t instructions = 0; ///< executed
    std::size_t functions =
        0;                    ///< distinct ones, as the compiler left them: inlined ones are in their callers
    std::size_t places = 0;   ///< distinct instructions
    std::size_t branches = 0; ///< conditional ones among them
    std::size_t bytes = 0;    ///< of these instructions
};

/// Throws naming what is wrong: a section that does not end is one whose pass did not.
std::vector<Section> parse_profile(std::string_view text);

/// Instructions of a section, by function and phase. User space has the name "user space", and the entry
/// "user".
using RoutineCounts = std::map<std::pair<Routine, PhaseName>, std::int64_t>;
RoutineCounts count_routines(const Section &section, const Routines &routines);

/// Of the functions that BELONGS accepts.
CodeSize code_size(const Section &section, const Routines &routines,
                   const std::function<bool(const Routine &)> &belongs);

inline const Routine user_space{"user space", ""};

/// What the agent tells the plugin: {"routines": {NAME: CODE}}. With the parts of a program's life where
/// that is what runs.
nlohmann::json entry_routines(bool parts);

} // namespace daxbench
