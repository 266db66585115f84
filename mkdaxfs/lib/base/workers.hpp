// SPDX-License-Identifier: Apache-2.0
// Threads for work whose result must not depend on how many there are.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>

#include "progress.hpp"

namespace daxfs {

// The threads of one Workers::run(), as a job on one of them sees it.
class Crew {
public:
    // Do a piece of work. When most of its time went by waiting (for a disk), one more thread
    // joins, if there may be more: there is a core free, and a disk does better with more to do.
    template <typename Work> void piece(Work &&work)
    {
        const Clock before = now();
        work();
        if (waited(before, now()))
            hire_();
    }

private:
    friend struct Workers;

    struct Clock {
        std::chrono::nanoseconds wall;
        std::chrono::nanoseconds cpu; // this thread's
        long sleeps;                  // how often it let go of its core
    };

    explicit Crew(std::function<void()> hire) : hire_(std::move(hire)) {}
    static Clock now();
    static bool waited(const Clock &before, const Clock &after);

    std::function<void()> hire_;
};

// Throws Interrupted once the flag, if there is one, is set.
void check_stop(const std::atomic<bool> *stop);

// How many threads may run, and the flag that ends all work early.
struct Workers {
    unsigned threads = 1;
    const std::atomic<bool> *stop = nullptr;
    Progress *progress = nullptr;

    void check_stop() const { daxfs::check_stop(stop); }
    void add_entries(std::uint64_t count) const
    {
        if (progress)
            progress->entries += count;
    }
    void add_done(std::uint64_t bytes) const
    {
        if (progress)
            progress->done += bytes;
    }

    // Run job(crew) on each thread, the caller's being one: one for each core, and with what
    // Crew says more, up to `threads`. When one throws, on_failure is called at once (it must
    // release the others), and the first exception is rethrown after all have ended.
    void run(const std::function<void(Crew &)> &job, const std::function<void()> &on_failure = {}) const;

    // job(i) for each i below count, in any order, each a piece of work of a Crew, checking
    // the stop flag.
    void for_each(std::size_t count, const std::function<void(std::size_t)> &job) const;
};

// Lets pieces of parallel work pass one place in their order: 0, 1, 2, ...
class Turns {
public:
    // Wait for the turn, run step, let the next one in.
    void take(std::size_t turn, const std::function<void()> &step);
    // Another worker failed: everyone waiting throws.
    void abandon();

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t next_ = 0;
    bool abandoned_ = false;
};

} // namespace daxfs
