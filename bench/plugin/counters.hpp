// SPDX-License-Identifier: Apache-2.0
// How often each instruction of the kernel was executed, by phase. User space is one counter.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <ostream>
#include <unordered_map>
#include <vector>

#include "marks.hpp"

namespace daxbench {

struct Phase {
    marks::Part part = marks::start;
    marks::Entry entry = marks::other;
    bool operator==(const Phase &) const = default;
};

class Counters {
public:
    /// Of the instruction at ADDRESS; stays where it is.
    std::uint64_t *of_kernel(std::uint64_t address, std::size_t size, bool branch);
    std::uint64_t *of_user() { return &user_; }

    /// Forgets all counts.
    void clear();
    /// What was counted since the last call belongs to PHASE.
    void collect(Phase phase);
    /// An instruction faulted: it was counted, and will be once more when it is executed again. WHERE: start
    /// of its block in the kernel, or 0 for user space.
    void again(Phase phase, std::uint64_t where);

    /// Lines of a section:
    ///   u PART ENTRY COUNT                       user space
    ///   k PART ENTRY ADDRESS COUNT SIZE BRANCH   an instruction of the kernel
    ///   a PART ENTRY ADDRESS COUNT               instructions counted once too often; 0: of user space
    void write(std::ostream &out) const;

private:
    struct Instruction {
        std::uint64_t address;
        std::uint8_t size;
        bool branch;
    };
    struct Collected {
        std::uint64_t user = 0;
        std::vector<std::uint64_t> kernel;
        std::map<std::uint64_t, std::uint64_t> again;
    };
    static constexpr std::size_t chunk = 4096;

    Collected &of(Phase phase) { return phases_[phase.part * marks::entries + phase.entry]; }

    std::deque<std::array<std::uint64_t, chunk>> counts_; // never moves
    std::vector<Instruction> instructions_;
    std::unordered_map<std::uint64_t, std::size_t> index_;
    std::uint64_t user_ = 0;
    std::array<Collected, marks::parts * marks::entries> phases_;
};

} // namespace daxbench
