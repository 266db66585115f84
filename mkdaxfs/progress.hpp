// SPDX-License-Identifier: Apache-2.0
// How far a run is, for a person who waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <iosfwd>
#include <memory>

namespace daxfs {

// Written by the workers, read by the printer.
struct Progress {
    std::atomic<std::uint64_t> entries = 0;  // read from sources so far
    std::atomic<std::uint64_t> done = 0;     // bytes of file data copied so far
    std::atomic<std::uint64_t> total = 0;    // of so many; 0 while they are not known
};

// Prints a progress from a thread of its own until it is destroyed: on a terminal one line
// over and over, with rate and time left, else a plain line every ten seconds.
class ProgressPrinter {
public:
    ProgressPrinter(const Progress& progress, std::ostream& out, bool is_terminal);
    ~ProgressPrinter();

private:
    struct Printing;
    std::unique_ptr<Printing> printing_;
};

}  // namespace daxfs
