// SPDX-License-Identifier: Apache-2.0
#include "counters.hpp"

namespace daxbench {

std::uint64_t *Counters::of_kernel(std::uint64_t address, std::size_t size, bool branch)
{
    const auto [found, is_new] = index_.emplace(address, instructions_.size());
    const std::size_t index = found->second;
    const Instruction instruction{address, static_cast<std::uint8_t>(size), branch};
    if (!is_new) {
        instructions_[index] = instruction; // the kernel has patched itself, as it does at boot
    } else {
        if (index % chunk == 0)
            counts_.emplace_back();
        instructions_.push_back(instruction);
    }
    return &counts_[index / chunk][index % chunk];
}

void Counters::clear()
{
    user_ = 0;
    for (auto &counts : counts_)
        counts.fill(0);
    phases_ = {};
}

void Counters::collect(Phase phase)
{
    Collected &to = of(phase);
    to.user += user_;
    user_ = 0;
    to.kernel.resize(instructions_.size());
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
        std::uint64_t &count = counts_[i / chunk][i % chunk];
        if (count) {
            to.kernel[i] += count;
            count = 0;
        }
    }
}

void Counters::again(Phase phase, std::uint64_t where)
{
    ++of(phase).again[where];
}

void Counters::write(std::ostream &out) const
{
    for (std::size_t i = 0; i < phases_.size(); ++i) {
        const Collected &from = phases_[i];
        const std::size_t part = i / marks::entries;
        const std::size_t entry = i % marks::entries;
        if (from.user)
            out << "u " << part << ' ' << entry << ' ' << from.user << '\n';
        for (std::size_t k = 0; k < from.kernel.size(); ++k)
            if (from.kernel[k])
                out << "k " << part << ' ' << entry << ' ' << instructions_[k].address << ' '
                    << from.kernel[k] << ' ' << unsigned{instructions_[k].size} << ' '
                    << instructions_[k].branch << '\n';
        for (const auto &[address, count] : from.again)
            out << "a " << part << ' ' << entry << ' ' << address << ' ' << count << '\n';
    }
}

} // namespace daxbench
