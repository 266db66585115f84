// SPDX-License-Identifier: Apache-2.0
// A process that computes when it is told to: it says "ready", then answers each line with a line, its
// result, and ends when there are no more.
#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

#include "io.hpp"

namespace daxbench {

/// What a process of the agent's own program does, once for each time it is told to.
using Task = std::function<std::string()>;

class Worker {
public:
    /// BECOME, in the child, replaces it by a program whose stdin and stdout are the lines.
    static Worker program(const std::function<void()> &become);
    /// MAKE, in the child, opens what the task needs.
    static Worker task(const std::function<Task()> &make);

    Worker(Worker &&other) noexcept;
    Worker &operator=(Worker &&) = delete;
    /// Ends it, whatever it does.
    ~Worker();

    pid_t pid() const { return pid_; }
    /// Tells it to compute.
    void go();
    /// Its next line; throws where it ended instead, or says "error: REASON".
    std::string line();
    /// Lets it end; throws where it does not with status 0.
    void finish();

private:
    Worker() = default;

    pid_t pid_ = -1;
    UniqueFd orders_;
    UniqueFd answers_;
    std::string buffered_;
};

} // namespace daxbench
