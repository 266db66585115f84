// SPDX-License-Identifier: Apache-2.0
// Allocations of this process while something ran, by the kernel's own tracepoints (kmem).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "unique_fd.hpp"

namespace daxbench {

struct AllocationKind {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    std::map<std::string, std::uint64_t> callers; ///< how many, by the function that asked for it
};

struct Allocations {
    AllocationKind slab;        ///< kmalloc and caches of objects
    AllocationKind pages;       ///< of the page allocator, but for the two below
    AllocationKind page_tables; ///< the memory management's own; any mapping needs them
    AllocationKind slab_pages;  ///< pages that became slabs: their objects are counted above
};

/// TEXT: the file "trace" of tracefs with the option stacktrace. What interrupts allocated is left out.
/// Throws where events were lost or have no stack.
Allocations parse_allocations(std::string_view text);

/// Needs root, and tracefs with the events of kmem; throws naming what is missing. Puts tracing back as it
/// was.
class AllocationTracer {
public:
    AllocationTracer();
    ~AllocationTracer();
    AllocationTracer(const AllocationTracer &) = delete;
    AllocationTracer &operator=(const AllocationTracer &) = delete;

    Allocations count(const std::function<void()> &work);

private:
    void on(const char *state);

    daxfs::UniqueFd switch_;
};

} // namespace daxbench
