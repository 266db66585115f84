// SPDX-License-Identifier: Apache-2.0
#include "balloon.hpp"

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "pipe.hpp"

namespace daxbench {

namespace {

constexpr std::uint64_t step = 2 << 20;

// In the child: says how much it has after each step, so that the other side knows where it was killed.
[[noreturn]] void hold(std::uint64_t bytes, int answers)
{
    try {
        write_file("/proc/self/oom_score_adj", "1000");
        auto *const memory = static_cast<char *>(
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (memory == MAP_FAILED)
            ::_exit(1);
        for (std::uint64_t at = 0; at < bytes; at += step) {
            const std::uint64_t part = std::min(step, bytes - at);
            if (::mlock(memory + at, part) < 0)
                ::_exit(1);
            const std::uint64_t held = at + part;
            (void)!::write(answers, &held, sizeof held);
        }
        for (;;)
            ::pause();
    } catch (const std::exception &) {
        ::_exit(1);
    }
}

} // namespace

Balloon::Balloon(std::uint64_t bytes)
{
    Pipe answers = make_pipe();
    pid_ = ::fork();
    if (pid_ < 0)
        throw_errno("cannot fork");
    if (pid_ == 0)
        hold(bytes, answers.write_end.get());
    answers.write_end.reset();
    std::uint64_t held = 0;
    while (held < bytes && ::read(answers.read_end.get(), &held, sizeof held) == sizeof held) {
    }
    if (held >= bytes)
        return;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    throw std::runtime_error(fmt::format(
        "expected to take {} MiB away, the kernel gave {} MiB and then {}: what is left is in use "
        "and cannot be reclaimed",
        bytes >> 20, held >> 20, WIFSIGNALED(status) ? "ran out of memory" : "refused"));
}

Balloon::~Balloon()
{
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

} // namespace daxbench
