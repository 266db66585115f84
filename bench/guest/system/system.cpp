// SPDX-License-Identifier: Apache-2.0
#include "system.hpp"

#include <array>
#include <map>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <linux/random.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "io.hpp"

namespace daxbench {

namespace {

bool page_cache_is_held = false;
bool caches_are_kept = false;

void try_write(const char *path, const char *value)
{
    try {
        write_file(path, value);
    } catch (const std::exception &) {
        // Not every kernel has every switch.
    }
}

// Field → bytes.
std::map<std::string, std::uint64_t> read_meminfo()
{
    // Counters lie in batches at each CPU until this file is read: some pages to either side.
    try_write("/proc/sys/vm/stat_refresh", "1");
    std::map<std::string, std::uint64_t> fields;
    std::istringstream text(read_file("/proc/meminfo"));
    std::string line;
    while (std::getline(text, line)) {
        const auto colon = line.find(':');
        if (colon != std::string::npos)
            fields[line.substr(0, colon)] = std::stoull(line.substr(colon + 1)) * 1024;
    }
    return fields;
}

// Without RDRAND the guest's random number generator would become ready at an arbitrary moment or
// never; until then each new page of a slab cache, whose free list is shuffled, costs 7,000
// instructions. No secret is made here: a fixed seed will do.
void make_random_ready()
{
    struct {
        int bits;
        int bytes;
        std::array<std::uint32_t, 8> seed;
    } const pool{.bits = 256, .bytes = 32, .seed = {1, 2, 3, 4, 5, 6, 7, 8}};
    const UniqueFd fd(::open("/dev/random", O_WRONLY | O_CLOEXEC));
    if (fd.get() < 0 || ::ioctl(fd.get(), RNDADDENTROPY, &pool) < 0)
        throw_errno("cannot seed /dev/random");
}

std::string cpu_model()
{
    std::istringstream text(read_file("/proc/cpuinfo"));
    std::string line;
    while (std::getline(text, line))
        if (line.starts_with("model name"))
            return std::string(trim(line.substr(line.find(':') + 1)));
    return "unknown";
}

// Entries of the dcache that could be dropped (second number of dentry-state).
std::uint64_t unused_dentries()
{
    std::istringstream state(read_file("/proc/sys/fs/dentry-state"));
    std::uint64_t all = 0;
    std::uint64_t unused = 0;
    state >> all >> unused;
    return unused;
}

} // namespace

std::uint64_t now_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

void keep_caches()
{
    caches_are_kept = true;
}

void drop_caches()
{
    if (caches_are_kept)
        return;
    ::sync();
    const char *what = page_cache_is_held ? "2" : "3";
    // A dentry in use since the last shrink is only marked by the first pass, and a pass that frees
    // little ends early.
    std::uint64_t before = 0;
    std::uint64_t after = unused_dentries();
    for (int pass = 0; pass < 3 || after < before; ++pass) {
        before = after;
        write_file("/proc/sys/vm/drop_caches", what);
        after = unused_dentries();
    }
}

void hold_page_cache()
{
    page_cache_is_held = true;
}

bool page_cache_held()
{
    return page_cache_is_held;
}

void require_leave_to_drop()
{
    if (caches_are_kept)
        throw std::runtime_error(
            "expected leave to drop the caches of the whole machine, without which nothing "
            "is cold: say --drop-caches");
}

void settle()
{
    constexpr std::uint64_t step = 50'000'000;
    const std::uint64_t until = (now_ns() / step + 2) * step;
    const timespec deadline{static_cast<time_t>(until / 1'000'000'000U),
                            static_cast<long>(until % 1'000'000'000U)};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) == EINTR) {
    }
}

Uninterrupted::Uninterrupted()
{
    const sched_param priority{.sched_priority = 1};
    ::sched_setscheduler(0, SCHED_FIFO, &priority); // without the right to, it is only noisier
}

Uninterrupted::~Uninterrupted()
{
    const sched_param priority{.sched_priority = 0};
    ::sched_setscheduler(0, SCHED_OTHER, &priority);
}

void quiet_kernel()
{
    make_random_ready();
    try_write("/proc/sys/kernel/sched_rt_runtime_us", "-1"); // or real-time threads are throttled
    try_write("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "3600000");
    try_write("/proc/sys/vm/stat_interval", "3600");
    try_write("/proc/sys/vm/dirty_writeback_centisecs", "0");
    try_write("/proc/sys/kernel/watchdog", "0");
}

json memory_by_kind()
{
    ::sync();
    const auto fields = read_meminfo();
    const auto get = [&](const char *name) {
        const auto found = fields.find(name);
        return found == fields.end() ? std::uint64_t{0} : found->second;
    };
    return {{"mem_total", get("MemTotal")},
            {"mem_free", get("MemFree")},
            {"page_cache", get("Cached")},
            {"buffers", get("Buffers")},
            {"slab", get("Slab")},
            {"slab_reclaimable", get("SReclaimable")},
            {"anonymous", get("AnonPages")},
            {"page_tables", get("PageTables")},
            {"shmem", get("Shmem")},
            {"mem_free_per_cpu", per_cpu_free_pages(read_file("/proc/zoneinfo")) * 4096}};
}

std::uint64_t per_cpu_free_pages(const std::string &zoneinfo)
{
    std::istringstream text(zoneinfo);
    std::uint64_t pages = 0;
    for (std::string word; text >> word;) {
        std::uint64_t count = 0;
        if (word == "count:" && text >> count)
            pages += count;
    }
    return pages;
}

std::uint64_t page_cache_bytes()
{
    const auto fields = read_meminfo();
    return fields.at("Cached") + fields.at("Buffers");
}

json hello()
{
    utsname names{};
    ::uname(&names);
    return {
        {"type", "hello"},
        {"protocol", protocol_version},
        {"kernel", names.release},
        {"cpu_model", cpu_model()},
        {"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)},
        {"mem_bytes", read_meminfo().at("MemTotal")},
        {"clocksource", trim(read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource"))},
        {"uptime_ns", now_ns()},
        {"cmdline", trim(read_file("/proc/cmdline"))}};
}

} // namespace daxbench
