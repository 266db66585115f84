// SPDX-License-Identifier: Apache-2.0
// What the workers of the engine survive share: files as they were, counts, and bytes that no file may show.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "canary.hpp"
#include "protocol.hpp"

namespace daxbench {

/// A file before anybody wrote into the image.
struct PristineFile {
    std::string path;
    std::uint64_t size = 0;
    std::uint64_t hash = 0; // of its first bytes, see read_limit
};

inline constexpr std::size_t read_limit = std::size_t{4} << 20; // bytes of a file that are looked at

/// What one worker has counted; in memory that it shares with the agent, so that it outlives the worker.
struct SurviveCounts {
    using Count = std::atomic<std::uint64_t>;
    Count accesses;       // system calls on the tree, and pages touched in mappings
    Count failures;       // of the calls
    Count mapping_faults; // SIGBUS and SIGSEGV in mappings
    Count changed_reads;  // files whose bytes were others than before
    Count foreign_memory; // bytes of the guest's own memory
    Count foreign_region; // bytes from behind the image
    Count programs;       // started
    Count program_failures;
    Count hangs; // programs that could not be ended
    Count rounds;
    Count heartbeat;               // CLOCK_MONOTONIC, ns
    std::array<Count, 134> errors; // by errno
};

struct SurviveJob {
    std::string target;
    const std::vector<PristineFile> &files;
    const std::vector<std::string> &argv;
    std::uint64_t seed;
    std::uint64_t deadline; // CLOCK_MONOTONIC, ns
};

/// FNV-1a over words, and over the bytes that are left.
std::uint64_t hash_bytes(std::uint64_t hash, const char *data, std::size_t size);
inline constexpr std::uint64_t hash_start = 0xcbf29ce484222325;

/// One worker each; they return at the deadline. To be run in a process of its own.
void walk_worker(const SurviveJob &job, SurviveCounts &counts);
void read_worker(const SurviveJob &job, SurviveCounts &counts);
void map_worker(const SurviveJob &job, SurviveCounts &counts);
void program_worker(const SurviveJob &job, SurviveCounts &counts);

} // namespace daxbench
