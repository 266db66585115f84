// SPDX-License-Identifier: Apache-2.0
#include "display.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace daxbench {

Display::Display(std::ostream &out, std::size_t columns) : out_(out), columns_(columns) {}

Display::~Display()
{
    if (columns_ > 0)
        out_ << "\r\x1b[K" << std::flush;
}

void Display::say(const std::string &line)
{
    const std::lock_guard lock(mutex_);
    say_locked(line);
}

void Display::say_locked(const std::string &line)
{
    if (columns_ > 0)
        out_ << "\r\x1b[K";
    out_ << line << '\n' << std::flush;
    draw_locked();
}

void Display::working(const std::string &line)
{
    const std::lock_guard lock(mutex_);
    if (line == working_)
        return;
    working_ = line;
    cells_ = 0; // the line tells of this now
    if (columns_ == 0 && !line.empty())
        say_locked(line);
    draw_locked();
}

void Display::begin(std::size_t cells, double estimate_s, unsigned jobs)
{
    const std::lock_guard lock(mutex_);
    working_.clear();
    cells_ = cells;
    estimate_s_ = estimate_s;
    jobs_ = std::max(1U, jobs);
    start_ = std::chrono::steady_clock::now();
    say_locked(fmt::format("{} cells, {} at once, about {}", cells, jobs_, clock_text(estimate_s / jobs_)));
}

void Display::step(const std::string &cell, const std::string &text)
{
    const std::lock_guard lock(mutex_);
    running_[cell] = text;
    draw_locked();
}

void Display::end(const std::string &cell, double estimate_s, double seconds, const std::string &status,
                  const std::string &error)
{
    const std::lock_guard lock(mutex_);
    running_.erase(cell);
    ++done_;
    done_estimate_s_ += estimate_s;
    const bool quiet = columns_ > 0 && status == "ok";
    if (!quiet)
        say_locked(fmt::format("[{:>{}}/{}] {:<6} {:>6.1f} s  {}{}{}", done_, std::to_string(cells_).size(),
                               cells_, status, seconds, cell, error.empty() ? "" : ": ", error));
    draw_locked();
}

void Display::clear()
{
    const std::lock_guard lock(mutex_);
    cells_ = 0;
    working_.clear();
    draw_locked();
}

void Display::tick()
{
    const std::lock_guard lock(mutex_);
    draw_locked();
}

/// From the estimate at first; from how the finished cells kept to theirs afterwards.
double Display::seconds_left() const
{
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    if (done_estimate_s_ <= 0)
        return std::max(0.0, estimate_s_ / jobs_ - elapsed.count());
    return elapsed.count() * (estimate_s_ - done_estimate_s_) / done_estimate_s_;
}

void Display::draw_locked()
{
    if (columns_ == 0)
        return;
    std::string line = working_;
    if (cells_ > 0) {
        std::string running;
        for (const auto &[cell, step] : running_)
            running += fmt::format("{}{} ({})", running.empty() ? "" : ", ", cell, step);
        line = fmt::format("[{}/{}] {} left  {}", done_, cells_, clock_text(seconds_left()), running);
    }
    if (line.size() >= columns_)
        line = line.substr(0, columns_ - 1);
    out_ << "\r\x1b[K" << line << std::flush;
}

std::string clock_text(double seconds)
{
    const auto whole = static_cast<long>(std::lround(std::max(0.0, seconds)));
    if (whole >= 3600)
        return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

} // namespace daxbench
