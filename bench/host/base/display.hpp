// SPDX-License-Identifier: Apache-2.0
// What a person sees while cells run: one live line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <ostream>
#include <string>

namespace daxbench {

class Display {
public:
    /// `columns` is the terminal's width; 0 where `out` is no terminal.
    Display(std::ostream &out, std::size_t columns);
    ~Display();
    Display(const Display &) = delete;
    Display &operator=(const Display &) = delete;

    /// A line that stays.
    void say(const std::string &line);
    /// What takes time now, before cells run. Stays where there is no terminal.
    void working(const std::string &line);

    /// From here on cells run; `estimate_s` is for all of them, one after another.
    void begin(std::size_t cells, double estimate_s, unsigned jobs);
    void step(const std::string &cell, const std::string &text);
    void end(const std::string &cell, double estimate_s, double seconds, const std::string &status,
             const std::string &error);
    /// Takes the live line away, so that others can print.
    void clear();
    /// Draws the live line again, for the clock in it.
    void tick();

private:
    void draw_locked();
    void say_locked(const std::string &line);
    double seconds_left() const;

    std::ostream &out_;
    const std::size_t columns_;
    std::mutex mutex_;
    std::string working_;
    std::map<std::string, std::string> running_;
    std::size_t cells_ = 0;
    std::size_t done_ = 0;
    double estimate_s_ = 0;
    double done_estimate_s_ = 0;
    unsigned jobs_ = 1;
    std::chrono::steady_clock::time_point start_;
};

/// "1:05" or "1:02:03".
std::string clock_text(double seconds);

} // namespace daxbench
