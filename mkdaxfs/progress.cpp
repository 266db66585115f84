// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>

#include <fmt/core.h>

#include "workers.hpp"

namespace daxfs {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

struct ProgressPrinter::Printing {
    const Progress& progress;
    std::ostream& out;
    bool is_terminal;
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    Clock::time_point copying_since{};
    std::jthread thread{};

    std::string line()
    {
        const std::uint64_t total = progress.total;
        if (total == 0)
            return fmt::format("{} entries read", progress.entries.load());
        if (copying_since == Clock::time_point())
            copying_since = Clock::now();
        constexpr double mb = 1e6;
        const auto done = static_cast<double>(progress.done.load());
        const double rate = done / std::max(0.001, seconds_since(copying_since));
        const double left = (static_cast<double>(total) - done) / std::max(1.0, rate);
        return fmt::format("{:.0f} of {:.0f} MB, {:.0f} %, {:.0f} MB/s, {:.0f} s left", done / mb,
                           static_cast<double>(total) / mb, 100 * done / static_cast<double>(total),
                           rate / mb, left);
    }

    void run()
    {
        using namespace std::chrono_literals;
        std::unique_lock lock(mutex);
        const auto pause = is_terminal ? 200ms : 10000ms;
        bool printed = false;
        while (!changed.wait_for(lock, pause, [this] { return ended; })) {
            // \033[K: what a longer line left behind goes.
            if (is_terminal)
                out << '\r' << line() << "\033[K" << std::flush;
            else
                out << "mkdaxfs: " << line() << '\n' << std::flush;
            printed = true;
        }
        if (is_terminal && printed)
            out << "\r\033[K" << std::flush;
    }
};

ProgressPrinter::ProgressPrinter(const Progress& progress, std::ostream& out, bool is_terminal)
    : printing_(new Printing{progress, out, is_terminal, {}, {}})
{
    printing_->thread = start_thread([printing = printing_.get()] { printing->run(); });
}

ProgressPrinter::~ProgressPrinter()
{
    {
        const std::lock_guard lock(printing_->mutex);
        printing_->ended = true;
    }
    printing_->changed.notify_all();
    printing_->thread.join();
}

}  // namespace daxfs
