// SPDX-License-Identifier: Apache-2.0
// What the benchmarks time. A pass is a fixed number of operations in a fixed order; nothing in it
// allocates, writes to the console or depends on chance, so that it costs the same every time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol.hpp"

namespace daxbench {

enum class Cache { warm, cold };

/// "warm" or "cold"; throws naming both.
Cache parse_cache(const std::string &text);

class Operation {
public:
    virtual ~Operation() = default;

    /// Fills caches; called once before the passes of a warm benchmark.
    virtual void warm_up() {}
    /// Untimed, before each pass: opens and maps.
    virtual void before() {}
    /// The timed part. Throws when an operation fails.
    virtual void pass() = 0;
    /// Untimed, after each pass: unmaps and closes.
    virtual void after() {}

    /// Operations in one pass.
    std::uint64_t operations() const { return operations_; }
    /// What the cost is divided by, in one pass: operations, pages or MiB.
    double units() const { return units_; }

protected:
    std::uint64_t operations_ = 0;
    double units_ = 0;
};

/// WORKLOAD's op, on the files it selects below TARGET:
///   read                   pread of "block" bytes at multiples of it, "pattern" random (a
///                          permutation), or sequential (whole file by read)
///   mmap-touch             one byte of each page of a mapping of the whole file; "variant" shared
///                          or private; pattern as above, or sparse (one page of each 2 MiB, in
///                          random order); mapped before and unmapped after
///   munmap                 the same mapping, all of it touched, taken away
///   fork                   a child of a process that has touched all of the same mapping and, of a
///                          private one, written to its first page; the child ends at once
///   open-mmap-touch-close  open, fstat, mmap (private), touch every page, munmap, close; per file
///   open-close, stat       per path
///   lookup                 lstat of names in one directory ("file"), in random order
///   mount                  mount what was unmounted before
///   walk                   getdents and lstat of the whole tree, relative to open directories
/// "iterations", when given, caps the operations of a pass. SEED makes the permutations.
std::unique_ptr<Operation> make_operation(const std::string &target, const json &workload,
                                          const std::string &variant, std::uint64_t seed);

/// 0 … COUNT-1 in an order that depends on SEED alone.
std::vector<std::uint32_t> permutation(std::size_t count, std::uint64_t seed);

} // namespace daxbench
