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

#include "start_thread.hpp"

namespace daxfs {

std::string ProgressLine::text(const Progress &progress, std::chrono::steady_clock::time_point now)
{
    const auto total = static_cast<double>(progress.total.load());
    if (total == 0)
        return fmt::format("{}{} entries read", prefix_, progress.entries.load());
    constexpr double mb = 1e6;
    const auto done = static_cast<double>(progress.done.load());
    std::string line =
        fmt::format("{}{:.0f} of {:.0f} MB, {:.0f} %", prefix_, done / mb, total / mb, 100 * done / total);
    if (since_ == decltype(since_)()) {
        since_ = now;
        done_before_ = done;
    }
    const double seconds = std::chrono::duration<double>(now - since_).count();
    if (done == done_before_ || seconds <= 0)
        return line;
    const double rate = (done - done_before_) / seconds;
    return line + fmt::format(", {:.0f} MB/s, {:.0f} s left", rate / mb, (total - done) / rate);
}

struct ProgressPrinter::Printing {
    const Progress &progress;
    std::ostream &out;
    bool is_terminal;
    ProgressLine line;
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    std::jthread thread{};

    void run()
    {
        using namespace std::chrono_literals;
        std::unique_lock lock(mutex);
        const auto pause = is_terminal ? 200ms : 10000ms;
        bool printed = false;
        const auto text = [this] { return line.text(progress, std::chrono::steady_clock::now()); };
        while (!changed.wait_for(lock, pause, [this] { return ended; })) {
            // \033[K: what a longer line left behind goes.
            if (is_terminal)
                out << '\r' << text() << "\033[K" << std::flush;
            else
                out << "mkdaxfs: " << text() << '\n' << std::flush;
            printed = true;
        }
        if (is_terminal && printed)
            out << "\r\033[K" << std::flush;
    }
};

ProgressPrinter::ProgressPrinter(const Progress &progress, std::ostream &out, bool is_terminal,
                                 std::string prefix)
    : printing_(new Printing{progress, out, is_terminal, ProgressLine(std::move(prefix)), {}, {}})
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

} // namespace daxfs
