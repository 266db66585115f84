// SPDX-License-Identifier: Apache-2.0
#include "mode_sampler.hpp"

#include <atomic>
#include <cstring>
#include <stdexcept>

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::size_t data_bytes = 256 * page_size; // 131,072 records
constexpr std::size_t ring_bytes = page_size + data_bytes;

UniqueFd open_clock(std::uint64_t period_ns)
{
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_CPU_CLOCK;
    attr.sample_period = period_ns;
    attr.disabled = 1;
    UniqueFd fd(static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!fd)
        throw_errno("cannot sample CPU 0 by perf's cpu-clock (is CONFIG_PERF_EVENTS set?)");
    return fd;
}

} // namespace

ModeSampler::ModeSampler(std::uint64_t period_ns) : event_(open_clock(period_ns))
{
    ring_ = ::mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, event_.get(), 0);
    if (ring_ == MAP_FAILED)
        throw_errno("cannot map the ring of perf's samples");
}

ModeSampler::~ModeSampler()
{
    ::munmap(ring_, ring_bytes);
}

void ModeSampler::start()
{
    ::ioctl(event_.get(), PERF_EVENT_IOC_ENABLE, 0);
}

ModeSamples ModeSampler::stop()
{
    ::ioctl(event_.get(), PERF_EVENT_IOC_DISABLE, 0);
    auto *const page = static_cast<perf_event_mmap_page *>(ring_);
    const auto *const data = static_cast<const char *>(ring_) + page_size;
    const std::uint64_t head = std::atomic_ref(page->data_head).load(std::memory_order_acquire);
    ModeSamples samples;
    bool lost = false;
    while (read_to_ < head) {
        perf_event_header header{}; // of eight bytes, so never across the ring's end
        std::memcpy(&header, data + read_to_ % data_bytes, sizeof header);
        lost = lost || header.type == PERF_RECORD_LOST;
        if (header.type == PERF_RECORD_SAMPLE)
            ++((header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER ? samples.user
                                                                                      : samples.kernel);
        read_to_ += header.size;
    }
    std::atomic_ref(page->data_tail).store(read_to_, std::memory_order_release);
    if (lost || samples.user + samples.kernel == 0)
        throw std::runtime_error(lost ? "expected perf's samples to fit, some were lost: the run is too long"
                                      : "expected perf's cpu-clock to sample, there was no sample");
    return samples;
}

} // namespace daxbench
