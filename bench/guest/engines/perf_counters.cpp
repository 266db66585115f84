// SPDX-License-Identifier: Apache-2.0
#include "perf_counters.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <perfmon/pfmlib_perf_event.h>

namespace daxbench {

namespace {

struct EventName {
    const char *published;
    const char *pfm;
};

constexpr std::array event_names = {
    EventName{"page-faults", "PERF_COUNT_SW_PAGE_FAULTS"},
    EventName{"minor-faults", "PERF_COUNT_SW_PAGE_FAULTS_MIN"},
    EventName{"major-faults", "PERF_COUNT_SW_PAGE_FAULTS_MAJ"},
    EventName{"context-switches", "PERF_COUNT_SW_CONTEXT_SWITCHES"},
    EventName{"cycles", "PERF_COUNT_HW_CPU_CYCLES"},
    EventName{"instructions", "PERF_COUNT_HW_INSTRUCTIONS"},
    EventName{"dTLB-load-misses", "PERF_COUNT_HW_CACHE_DTLB:READ:MISS"},
    EventName{"LLC-misses", "PERF_COUNT_HW_CACHE_LL:READ:MISS"},
};

// A descriptor, or -1 and the reason in WHY.
int open_event(const char *pfm_name, std::string &why)
{
    perf_event_attr attr{};
    attr.size = sizeof attr;
    pfm_perf_encode_arg_t request{};
    request.attr = &attr;
    request.size = sizeof request;
    const int known = ::pfm_get_os_event_encoding(pfm_name, PFM_PLM0 | PFM_PLM3, PFM_OS_PERF_EVENT, &request);
    if (known != PFM_SUCCESS) {
        why = std::string("libpfm4: ") + ::pfm_strerror(known);
        return -1;
    }
    attr.disabled = 1;
    attr.inherit = 1;
    const long fd = ::syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        why = std::string("perf_event_open: ") + std::strerror(errno);
    return static_cast<int>(fd);
}

} // namespace

PerfCounters::PerfCounters()
{
    static const int initialized = ::pfm_initialize();
    for (const EventName &name : event_names) {
        Event event;
        event.name = name.published;
        if (initialized == PFM_SUCCESS)
            event.fd = UniqueFd(open_event(name.pfm, event.unavailable));
        else
            event.unavailable = std::string("libpfm4: ") + ::pfm_strerror(initialized);
        events_.push_back(std::move(event));
    }
}

void PerfCounters::start()
{
    for (const Event &event : events_)
        if (event.fd)
            ::ioctl(event.fd.get(), PERF_EVENT_IOC_ENABLE, 0);
}

void PerfCounters::stop()
{
    for (const Event &event : events_)
        if (event.fd)
            ::ioctl(event.fd.get(), PERF_EVENT_IOC_DISABLE, 0);
}

void PerfCounters::add_to(json &result) const
{
    for (const Event &event : events_) {
        std::uint64_t count = 0;
        if (event.fd && ::read(event.fd.get(), &count, sizeof count) == sizeof count)
            result[event.name].push_back(count);
        else
            result[event.name] = {{"unavailable", event.unavailable}};
    }
}

} // namespace daxbench
