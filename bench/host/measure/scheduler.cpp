// SPDX-License-Identifier: Apache-2.0
#include "scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace daxbench {
namespace {

class Scheduler {
public:
    Scheduler(const std::vector<Job> &jobs, const JobLimits &limits) : jobs_(jobs), limits_(limits)
    {
        for (std::size_t index = 0; index < jobs.size(); ++index)
            (jobs[index].memory_bytes > limits.memory_bytes ? refused_ : waiting_).insert(index);
    }

    std::vector<std::size_t> run(const std::function<bool()> &stop, const std::function<void()> &tick)
    {
        std::vector<std::jthread> threads;
        std::unique_lock lock(mutex_);
        while (!running_.empty() || !waiting_.empty()) {
            if (stop()) {
                refused_.merge(waiting_);
                waiting_.clear();
            }
            while (const auto next = next_job())
                start(*next, threads);
            ended_.wait_for(lock, std::chrono::milliseconds(500));
            lock.unlock();
            tick();
            lock.lock();
        }
        lock.unlock(); // the last thread still has to leave `end`
        return {refused_.begin(), refused_.end()};
    }

private:
    bool fits(const Job &job) const
    {
        if (running_.empty())
            return true;
        unsigned guests = job.guests;
        std::uint64_t memory = job.memory_bytes;
        for (const auto index : running_) {
            const auto &other = jobs_[index];
            guests += other.guests;
            memory += other.memory_bytes;
            if (other.resource == job.resource && (other.exclusive || job.exclusive))
                return false;
        }
        return guests <= limits_.slots && memory <= limits_.memory_bytes;
    }

    std::optional<std::size_t> next_job() const
    {
        const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                        [&](std::size_t index) { return fits(jobs_[index]); });
        return found == waiting_.end() ? std::nullopt : std::optional(*found);
    }

    void start(std::size_t index, std::vector<std::jthread> &threads)
    {
        waiting_.erase(index);
        running_.insert(index);
        threads.emplace_back([this, index] {
            jobs_[index].run();
            end(index);
        });
    }

    void end(std::size_t index)
    {
        const std::lock_guard lock(mutex_);
        running_.erase(index);
        ended_.notify_one();
    }

    const std::vector<Job> &jobs_;
    const JobLimits limits_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::set<std::size_t> waiting_;
    std::set<std::size_t> running_;
    std::set<std::size_t> refused_;
};

} // namespace

std::vector<std::size_t> run_jobs(const std::vector<Job> &jobs, const JobLimits &limits,
                                  const std::function<bool()> &stop, const std::function<void()> &tick)
{
    return Scheduler(jobs, limits).run(stop, tick);
}

} // namespace daxbench
