// SPDX-License-Identifier: Apache-2.0
// How far a run is, for a person who waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>

namespace daxfs {

// Written by the workers, read by the printer.
struct Progress {
    std::atomic<std::uint64_t> entries = 0; // read from sources so far
    std::atomic<std::uint64_t> done = 0;    // bytes of file data copied so far
    std::atomic<std::uint64_t> total = 0;   // of so many; 0 while they are not known
};

// What a progress looks like at a time; the rate is that since copying was first seen.
class ProgressLine {
public:
    explicit ProgressLine(std::string prefix) : prefix_(std::move(prefix)) {}
    std::string text(const Progress &progress, std::chrono::steady_clock::time_point now);

private:
    std::string prefix_;
    std::chrono::steady_clock::time_point since_{};
    double done_before_ = 0;
};

// Prints a progress from a thread of its own until it is destroyed: on a terminal one line
// over and over, with rate and time left, else a plain line every ten seconds. Each begins with the prefix.
class ProgressPrinter {
public:
    ProgressPrinter(const Progress &progress, std::ostream &out, bool is_terminal, std::string prefix = "");
    ~ProgressPrinter();

private:
    struct Printing;
    std::unique_ptr<Printing> printing_;
};

} // namespace daxfs
