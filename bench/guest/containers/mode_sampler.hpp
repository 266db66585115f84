// SPDX-License-Identifier: Apache-2.0
// Which part of a piece of work is user space's. No counter tells it in an emulated CPU, so a timer asks
// where the CPU is, some thousand times in a program's start.
#pragma once

#include <cstddef>
#include <cstdint>

#include "io.hpp"

namespace daxbench {

struct ModeSamples {
    std::uint64_t user = 0;
    std::uint64_t kernel = 0;

    /// Taking a sample costs the kernel the same wherever the CPU was, so the parts hold without samples,
    /// too; a sample's period times their number does not.
    double user_part() const { return static_cast<double>(user) / static_cast<double>(user + kernel); }
};

/// Samples of CPU 0, whatever runs on it, by perf's cpu-clock. Where interrupts are off the kernel is seen a
/// little late: the way back to user space counts as user space's, some hundred instructions a call.
class ModeSampler {
public:
    explicit ModeSampler(std::uint64_t period_ns);
    ~ModeSampler();
    ModeSampler(const ModeSampler &) = delete;
    ModeSampler &operator=(const ModeSampler &) = delete;

    void start();
    /// Those since start(). Throws when there were none, or more than fit.
    ModeSamples stop();

private:
    UniqueFd event_;
    void *ring_ = nullptr;
    std::uint64_t read_to_ = 0;
};

} // namespace daxbench
