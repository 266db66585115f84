// SPDX-License-Identifier: Apache-2.0
// What the ground costs that all figures stand on: an empty loop, a system call that does nothing, a copy, a
// page fault. Two machines are converted into each other, and two runs compared, by these rows. No filesystem
// takes part.
#include <array>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <vector>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page = 4096;

/// A pass of so many operations; what it took, in ns.
using Pass = double (*)(std::uint64_t operations);

struct Measure {
    Pass pass;
    std::uint64_t operations; ///< of a pass: enough that one timer tick does not show
};

template <typename Work> double timed(Work work)
{
    settle();
    const Uninterrupted guard;
    const std::uint64_t start = now_ns();
    work();
    return static_cast<double>(now_ns() - start);
}

/// The same two instructions on every compiler.
double loop(std::uint64_t operations)
{
    return timed([&] { asm volatile("1: dec %0\n\tjnz 1b" : "+r"(operations) : : "cc"); });
}

double null_call(std::uint64_t operations)
{
    return timed([&] {
        for (std::uint64_t i = 0; i < operations; ++i)
            ::syscall(SYS_getppid);
    });
}

/// By eight bytes, as the kernel copies where the CPU has no fast string operations.
double copy(std::uint64_t operations)
{
    alignas(page) static std::array<unsigned char, page> from;
    alignas(page) static std::array<unsigned char, page> to;
    return timed([&] {
        for (std::uint64_t i = 0; i < operations; ++i) {
            const void *source = from.data();
            void *target = to.data();
            std::size_t words = page / 8;
            asm volatile("rep movsq" : "+S"(source), "+D"(target), "+c"(words) : : "memory");
        }
    });
}

/// The touches alone; mapping and unmapping are not timed.
double fault(std::uint64_t operations)
{
    const std::size_t bytes = operations * page;
    void *const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error(fmt::format("expected {} bytes of memory to fault in, mmap failed", bytes));
    ::madvise(memory, bytes, MADV_NOHUGEPAGE); // a kernel without huge pages refuses, rightly
    const double took = timed([&] {
        for (std::size_t at = 0; at < bytes; at += page)
            static_cast<volatile char *>(memory)[at] = 1;
    });
    ::munmap(memory, bytes);
    return took;
}

const Measure &measure_of(const std::string &what)
{
    static const std::map<std::string, Measure> known = {{"loop", {loop, 10'000'000}},
                                                         {"null-call", {null_call, 50'000}},
                                                         {"copy", {copy, 20'000}},
                                                         {"fault", {fault, 4096}}};
    const auto found = known.find(what);
    if (found == known.end())
        throw std::runtime_error(fmt::format("expected loop, null-call, copy or fault, got '{}'", what));
    return found->second;
}

} // namespace

json run_calibration_engine(const RunRequest &request)
{
    const std::string what = request.workload.at("what");
    const auto &measure = measure_of(what);
    request.progress(request.workload.value("id", what));
    measure.pass(measure.operations); // warms up
    std::vector<double> samples;
    for (int i = 0; i < request.workload.value("repetitions", 3); ++i)
        samples.push_back(measure.pass(measure.operations) / static_cast<double>(measure.operations));
    return {{"results",
             {{{"metric", "cost_per_op"},
               {"cache", "warm"},
               {"per", what == "fault" ? "page" : "op"},
               {"unit", "ns"},
               {"samples", samples},
               {"operations", measure.operations}}}},
            {"raw", json::object()}};
}

} // namespace daxbench
