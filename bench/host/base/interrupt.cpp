// SPDX-License-Identifier: Apache-2.0
#include "interrupt.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace daxbench {

namespace {

std::atomic<bool> interrupt_flag{false};

int interrupt_event()
{
    static const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd;
}

void on_signal(int)
{
    // timeout(1) sends its signal twice, to the program and to its group: only a later second one is
    // a person who does not want to wait.
    static std::atomic<std::time_t> first{0};
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupt_flag.load() && now.tv_sec > first.load() + 1)
        _exit(130); // children die by their parent-death signal
    if (!interrupt_flag.load())
        first = now.tv_sec;
    const int saved = errno;
    request_interrupt();
    errno = saved;
}

} // namespace

void request_interrupt()
{
    interrupt_flag.store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = write(interrupt_event(), &one, sizeof one);
}

bool interrupted()
{
    return interrupt_flag.load();
}

void throw_if_interrupted()
{
    if (interrupted())
        throw Interrupted();
}

int interrupt_fd()
{
    return interrupt_event();
}

void install_signal_handlers()
{
    interrupt_event();
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        sigaction(number, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

} // namespace daxbench
