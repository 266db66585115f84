// SPDX-License-Identifier: Apache-2.0
#include "recorder.hpp"

#include <stdexcept>

namespace daxbench {

Recorder::Recorder(const std::string &file, bool with_model) : out_(file), with_model_(with_model)
{
    if (!out_)
        throw std::runtime_error("expected to write " + file + ", could not open it");
}

Block *Recorder::block_at(std::uint64_t address, std::size_t instructions)
{
    if (address >> 63 == 0) {
        Block &block = user_[instructions];
        block.instructions = instructions;
        return &block;
    }
    Block *&block = by_address_[address];
    if (!block) {
        const auto meaning = announced_.find(address);
        blocks_.push_back({address, meaning == announced_.end() ? std::uint8_t{0} : meaning->second, 0});
        block = &blocks_.back();
    }
    return block;
}

void Recorder::announce(std::uint64_t address, std::uint8_t meaning)
{
    announced_[address] = meaning;
    if (const auto block = by_address_.find(address); block != by_address_.end())
        block->second->meaning = meaning;
}

void Recorder::begin()
{
    counters_.clear();
    model_.clear();
    phase_ = {};
    entered_.clear();
    last_ = nullptr;
    recording_ = true;
}

void Recorder::end()
{
    if (!recording_)
        return;
    counters_.collect(phase_);
    recording_ = false;
    out_ << "section " << sections_++ << '\n';
    counters_.write(out_);
    if (with_model_)
        model_.write(out_);
    out_ << "end\n" << std::flush;
}

void Recorder::switch_to(Phase phase)
{
    if (phase == phase_)
        return;
    counters_.collect(phase_);
    phase_ = phase;
}

/// An instruction that faults is counted when it is tried and once more when it is done. One of user space
/// that could not even be fetched was not tried: all of the block before it was executed.
void Recorder::note_fault()
{
    if (!last_)
        return;
    const bool tried = last_->address || *counters_.of_user() - user_before_ < last_->instructions;
    if (tried)
        counters_.again(phase_, last_->address);
}

void Recorder::follow(const Block &block)
{
    if (block.address == 0) {
        // Its instructions are told from the kernel's by their address: no new phase.
        entered_.clear();
        user_before_ = *counters_.of_user();
    } else if (block.meaning >= marks::first_part_code) {
        switch_to({static_cast<marks::Part>(block.meaning - marks::first_part_code), phase_.entry});
    } else if (block.meaning != marks::other) {
        const auto entry = static_cast<marks::Entry>(block.meaning);
        if (entry == marks::fault)
            note_fault();
        entered_.push_back(entry);
        switch_to({phase_.part, entry});
    }
    last_ = &block;
}

void Recorder::leave()
{
    if (!recording_ || entered_.empty())
        return;
    entered_.pop_back();
    if (!entered_.empty())
        switch_to({phase_.part, entered_.back()});
}

} // namespace daxbench
