// SPDX-License-Identifier: Apache-2.0
#include "mode_change.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include <sys/stat.h>

#include "error.hpp"
#include "text_form.hpp"

namespace daxfs {

namespace {

constexpr unsigned all_bits = 07777;

unsigned bits_for(char who)
{
    switch (who) {
    case 'u': return 04700;
    case 'g': return 02070;
    case 'o': return 01007;
    case 'a': return all_bits;
    default: return 0;
    }
}

unsigned bits_of(char permission)
{
    switch (permission) {
    case 'r': return 0444;
    case 'w': return 0222;
    case 'x': return 0111;
    case 's': return 06000;
    case 't': return 01000;
    default: return 0;
    }
}

// What one class has, for all three.
unsigned bits_from(char who, unsigned mode)
{
    const unsigned shift = who == 'u' ? 6 : who == 'g' ? 3 : 0;
    return (mode >> shift & 7) * 0111;
}

bool is_action(char c)
{
    return c == '+' || c == '-' || c == '=';
}

} // namespace

ModeChange::ModeChange(std::string_view text)
{
    if (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        bits_ = parse_number<std::uint32_t>(text, 8);
        if (!bits_)
            throw std::invalid_argument("expected a number as mode, got " + printable(text));
        if (*bits_ > all_bits)
            throw std::invalid_argument("expected a mode to 7777, got " + printable(text));
        return;
    }
    for (std::string_view rest = text;;) {
        const std::size_t comma = rest.find(',');
        try {
            parse_clause(rest.substr(0, comma));
        } catch (const std::invalid_argument &) {
            throw std::invalid_argument("expected a mode such as 0644 or u+x,go-w, got " + printable(text));
        }
        if (comma == rest.npos)
            return;
        rest.remove_prefix(comma + 1);
    }
}

void ModeChange::parse_clause(std::string_view clause)
{
    const auto take = [&] {
        const char c = clause.front();
        clause.remove_prefix(1);
        return c;
    };
    unsigned who = 0;
    while (!clause.empty() && bits_for(clause.front()) != 0)
        who |= bits_for(take());
    if (clause.empty() || !is_action(clause.front()))
        throw std::invalid_argument("no action");
    while (!clause.empty()) {
        Step step;
        step.who = who == 0 ? all_bits : who;
        step.action = take(); // the loop below ends at one
        while (!clause.empty() && !is_action(clause.front())) {
            const char c = take();
            const bool is_alone = clause.empty() || is_action(clause.front());
            if (c == 'X')
                step.search = true;
            else if (bits_of(c) != 0)
                step.bits |= bits_of(c);
            else if (c != 'a' && bits_for(c) != 0 && is_alone && step.bits == 0 && !step.search)
                step.from = c;
            else
                throw std::invalid_argument("no permission");
        }
        steps_.push_back(step);
    }
}

std::uint16_t ModeChange::applied(std::uint16_t mode) const
{
    const unsigned type = mode & S_IFMT;
    if (bits_)
        return static_cast<std::uint16_t>(type | *bits_);
    unsigned now = mode & all_bits;
    for (const Step &step : steps_) {
        unsigned bits = step.bits;
        if (step.search && (S_ISDIR(mode) || (now & 0111) != 0))
            bits |= 0111;
        if (step.from != 0)
            bits = bits_from(step.from, now);
        bits &= step.who;
        if (step.action == '=')
            now &= ~step.who;
        now = step.action == '-' ? now & ~bits : now | bits;
    }
    return static_cast<std::uint16_t>(type | now);
}

} // namespace daxfs
