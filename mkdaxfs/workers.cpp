// SPDX-License-Identifier: Apache-2.0
#include "workers.hpp"

#include <exception>
#include <thread>
#include <vector>

#include "error.hpp"

namespace daxfs {

void Workers::check_stop() const
{
    if (stop && stop->load(std::memory_order_relaxed))
        throw Interrupted();
}

void Workers::run(const std::function<void(unsigned)>& job,
                  const std::function<void()>& on_failure) const
{
    std::mutex mutex;
    std::exception_ptr first;
    const auto guarded = [&](unsigned worker) {
        try {
            job(worker);
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
    {
        std::vector<std::jthread> others;
        for (unsigned worker = 1; worker < threads; ++worker)
            others.emplace_back(guarded, worker);
        guarded(0);
    }
    if (first)
        std::rethrow_exception(first);
}

void Workers::for_each(std::size_t count, const std::function<void(std::size_t)>& job) const
{
    std::atomic<std::size_t> next = 0;
    run(
        [&](unsigned) {
            for (std::size_t i = next++; i < count; i = next++) {
                check_stop();
                job(i);
            }
        },
        [&] { next = count; });
}

void Turns::take(std::size_t turn, const std::function<void()>& step)
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

}  // namespace daxfs
