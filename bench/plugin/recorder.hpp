// SPDX-License-Identifier: Apache-2.0
// From what a vCPU executes to sections of counts: which block comes next, and what the marks say.
#pragma once

#include <cstdint>
#include <deque>
#include <fstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "counters.hpp"
#include "model.hpp"

namespace daxbench {

/// Code that is executed from its start. What it means is announced, perhaps after it was translated.
struct Block {
    std::uint64_t address = 0;      // 0: in user space
    std::uint8_t meaning = 0;       // an Entry, or a Part from first_part_code on; 0: nothing
    std::uint64_t instructions = 0; // of one in user space
};

class Recorder {
public:
    /// WITH_MODEL: what data() and code() of model() are told is written with each section.
    Recorder(const std::string &file, bool with_model);

    Model &model() { return model_; }
    Counters &counters() { return counters_; }
    /// Those of user space with as many instructions are one.
    Block *block_at(std::uint64_t address, std::size_t instructions);
    bool recording() const { return recording_; }

    void begin();
    /// Writes the section to the file.
    void end();
    void announce(std::uint64_t address, std::uint8_t meaning);
    void enter(const Block &block)
    {
        if (recording_)
            follow(block);
    }
    /// An iretq is about to be executed.
    void leave();

private:
    void follow(const Block &block);
    void note_fault();
    void switch_to(Phase phase);

    std::ofstream out_;
    bool with_model_;
    Counters counters_;
    Model model_;
    std::unordered_map<std::size_t, Block> user_;
    std::deque<Block> blocks_;
    std::unordered_map<std::uint64_t, Block *> by_address_;
    std::unordered_map<std::uint64_t, std::uint8_t> announced_;
    bool recording_ = false;
    std::size_t sections_ = 0;
    Phase phase_;
    std::vector<marks::Entry> entered_; // and not left yet, since user space
    const Block *last_ = nullptr;
    std::uint64_t user_before_ = 0; // the user space's counter when that block began
};

} // namespace daxbench
