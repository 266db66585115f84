// SPDX-License-Identifier: Apache-2.0
#include "contention.hpp"

#include <stdexcept>
#include <string>

#include <linux/perf_event.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

namespace daxbench {

namespace {

constexpr char tracing[] = "/sys/kernel/tracing";
constexpr char tracepoint[] = "/events/lock/contention_begin/id";

std::uint64_t tracepoint_id()
{
    const std::string path = std::string(tracing) + tracepoint;
    if (::access(path.c_str(), R_OK) < 0 && ::mount("none", tracing, "tracefs", 0, nullptr) < 0)
        throw_errno("cannot mount tracefs, which knows the kernel's tracepoints");
    return std::stoull(read_file(path));
}

} // namespace

ContentionCount::ContentionCount()
{
    perf_event_attr event{};
    event.size = sizeof event;
    event.type = PERF_TYPE_TRACEPOINT;
    event.config = tracepoint_id();
    const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
    for (long cpu = 0; cpu < cpus; ++cpu) {
        events_.emplace_back(
            static_cast<int>(::syscall(SYS_perf_event_open, &event, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
        if (!events_.back())
            throw_errno(fmt::format("cannot count lock:contention_begin on CPU {}", cpu));
    }
}

std::uint64_t ContentionCount::read() const
{
    std::uint64_t sum = 0;
    for (const UniqueFd &event : events_) {
        std::uint64_t count = 0;
        if (::read(event.get(), &count, sizeof count) != sizeof count)
            throw_errno("cannot read how often locks were waited for");
        sum += count;
    }
    return sum;
}

} // namespace daxbench
