// SPDX-License-Identifier: Apache-2.0
// How often the kernel's locks were waited for: its tracepoint lock:contention_begin, on every CPU.
#pragma once

#include <cstdint>
#include <vector>

#include "io.hpp"

namespace daxbench {

class ContentionCount {
public:
    /// Throws where the kernel has no such tracepoint.
    ContentionCount();
    /// Since it was made.
    std::uint64_t read() const;

private:
    std::vector<UniqueFd> events_;
};

} // namespace daxbench
