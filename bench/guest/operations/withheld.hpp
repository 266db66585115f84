// SPDX-License-Identifier: Apache-2.0
// A fork that costs what its mapping costs: of the process that forks, the child gets next to nothing else.
#pragma once

#include <cstdint>
#include <vector>

namespace daxbench {

/// Addresses of this process, whole pages.
struct AddressRange {
    std::uintptr_t start = 0;
    std::uintptr_t end = 0;
};

/// While it lives, no child of fork() gets this process's memory, but for `kept`, the program's text and the
/// pages around its thread's descriptor, where the kernel writes for restartable sequences. Such a child
/// can only leave, see fork_and_leave(): it has no stack.
class WithheldMemory {
public:
    /// Throws std::system_error where the kernel does not keep a range from children.
    explicit WithheldMemory(AddressRange kept);
    ~WithheldMemory();
    WithheldMemory(const WithheldMemory &) = delete;
    WithheldMemory &operator=(const WithheldMemory &) = delete;

private:
    std::vector<AddressRange> ranges_;
};

/// fork(), whose child ends at once with status 0, without a stack. Its process id, or -1 and errno.
int fork_and_leave();

} // namespace daxbench
