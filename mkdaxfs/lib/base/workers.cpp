// SPDX-License-Identifier: Apache-2.0
#include "workers.hpp"

#include <algorithm>
#include <exception>
#include <list>
#include <system_error>
#include <thread>

#include <sys/resource.h>
#include <time.h>

#include "error.hpp"

namespace daxfs {

void check_stop(const std::atomic<bool> *stop)
{
    if (stop && stop->load(std::memory_order_relaxed))
        throw Interrupted();
}

Crew::Clock Crew::now()
{
    timespec cpu = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    rusage used = {};
    getrusage(RUSAGE_THREAD, &used);
    return {std::chrono::steady_clock::now().time_since_epoch(),
            std::chrono::seconds(cpu.tv_sec) + std::chrono::nanoseconds(cpu.tv_nsec), used.ru_nvcsw};
}

// A thread whose core was taken did not wait: one more would make that worse. Less than this is
// what a lock takes.
bool Crew::waited(const Clock &before, const Clock &after)
{
    return after.sleeps != before.sleeps &&
           after.wall - before.wall > 2 * (after.cpu - before.cpu) + std::chrono::microseconds(50);
}

void Workers::run(const std::function<void(Crew &)> &job, const std::function<void()> &on_failure) const
{
    std::mutex mutex; // guards what follows
    std::exception_ptr first;
    std::list<std::jthread> others; // joined before all else goes away
    std::function<void()> hire;
    const auto work = [&] {
        try {
            Crew crew(hire);
            job(crew);
        } catch (...) {
            {
                const std::lock_guard lock(mutex);
                if (!first)
                    first = std::current_exception();
            }
            if (on_failure)
                on_failure();
        }
    };
    hire = [&] {
        const std::lock_guard lock(mutex);
        if (first || others.size() + 1 >= threads)
            return;
        try {
            others.emplace_back(work);
        } catch (const std::system_error &) {
            // The system has no more threads; those there are do the work.
        }
    };
    for (unsigned cores = std::max(1u, std::thread::hardware_concurrency()); cores > 1; --cores)
        hire();
    work();
    // A thread may hire until it ends, so the list is complete once its last one has.
    for (auto other = others.begin(); other != others.end();) {
        other->join();
        const std::lock_guard lock(mutex);
        ++other;
    }
    if (first)
        std::rethrow_exception(first);
}

void Workers::for_each(std::size_t count, const std::function<void(std::size_t)> &job) const
{
    std::atomic<std::size_t> next = 0;
    run(
        [&](Crew &crew) {
            for (std::size_t i = next++; i < count; i = next++) {
                check_stop();
                crew.piece([&] { job(i); });
            }
        },
        [&] { next = count; });
}

void Turns::take(std::size_t turn, const std::function<void()> &step)
{
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return next_ == turn || abandoned_; });
    if (abandoned_)
        throw std::runtime_error("another thread failed");
    step();
    ++next_;
    changed_.notify_all();
}

void Turns::abandon()
{
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
}

} // namespace daxfs
