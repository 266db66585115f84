// SPDX-License-Identifier: Apache-2.0
// The guest kernel's messages, read from /dev/kmsg without waiting.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io.hpp"

namespace daxbench {

struct KernelMessage {
    int level = 6;    // 0 emergency … 4 warning … 7 debug
    std::string text; // ASCII; the kernel escapes the rest
};

/// One record of /dev/kmsg: "PRIORITY,SEQUENCE,TIME,FLAGS;TEXT\n KEY=VALUE…".
KernelMessage parse_kernel_message(std::string_view record);

/// Something that no healthy kernel says: an error level, or a report (WARNING, BUG, Oops, lockdep,
/// KASAN, a call trace) at any level.
bool is_alarming(const KernelMessage &message);

class KernelLog {
public:
    /// Starts with what the kernel says from now on.
    KernelLog();
    /// Messages since the last take.
    std::vector<KernelMessage> take();
    /// Messages since the start that hold WORD, whatever the case, newest last.
    std::vector<std::string> find(std::string_view word);

private:
    void read_new();

    UniqueFd fd_;
    std::vector<KernelMessage> messages_;
    std::size_t taken_ = 0;
};

} // namespace daxbench
