// SPDX-License-Identifier: Apache-2.0
// Memory taken away from everything else.
#pragma once

#include <cstdint>

#include <sys/types.h>

namespace daxbench {

/// A process that holds so much anonymous memory, locked, as long as this lives. The first that the kernel
/// kills where memory runs out.
class Balloon {
public:
    /// Throws where so much is not to be had.
    explicit Balloon(std::uint64_t bytes);
    ~Balloon();
    Balloon(const Balloon &) = delete;
    Balloon &operator=(const Balloon &) = delete;

private:
    pid_t pid_ = -1;
};

} // namespace daxbench
