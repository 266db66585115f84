// SPDX-License-Identifier: Apache-2.0
// What the benchmarks time. A pass is a fixed number of operations in a fixed order; nothing in it
// allocates, writes to the console or depends on chance, so that it costs the same every time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace daxbench {

class Operation {
public:
    virtual ~Operation() = default;

    /// Fills caches; called once before the passes of a warm benchmark.
    virtual void warm_up() {}
    /// Untimed, before each pass: opens and maps.
    virtual void before() {}
    /// The timed part. Throws when an operation fails.
    virtual void pass() = 0;
    /// One operation of the pass, for workloads that take the time of each; of operations that can be singled
    /// out.
    virtual void single(std::size_t)
    {
        throw std::runtime_error("expected an operation that can be timed alone");
    }
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

} // namespace daxbench
