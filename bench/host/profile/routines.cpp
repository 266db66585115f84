// SPDX-License-Identifier: Apache-2.0
#include "routines.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include <fmt/format.h>

namespace daxbench {

namespace {

std::string plain_name(const std::string &name)
{
    return name.substr(0, name.find('.', 1));
}

} // namespace

Routines::Routines(std::string_view text)
{
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        Symbol symbol{};
        if (!(words >> std::hex >> symbol.address >> symbol.routine.name))
            throw std::runtime_error(fmt::format("expected ADDRESS NAME [MODULE], got '{}'", line));
        words >> symbol.routine.module;
        if (symbol.routine.module.starts_with('['))
            symbol.routine.module = symbol.routine.module.substr(1, symbol.routine.module.size() - 2);
        symbol.routine.name = plain_name(symbol.routine.name);
        symbols_.push_back(std::move(symbol));
    }
    // Of several names for one address the first in the alphabet, whatever the order they came in.
    std::ranges::sort(symbols_, [](const Symbol &a, const Symbol &b) {
        return std::tie(a.address, a.routine) < std::tie(b.address, b.routine);
    });
    const auto same = std::ranges::unique(symbols_, {}, &Symbol::address);
    symbols_.erase(same.begin(), same.end());
}

std::vector<std::string> Routines::names(const std::function<bool(const Routine &)> &belongs) const
{
    std::set<std::string> names;
    for (const auto &symbol : symbols_)
        if (belongs(symbol.routine))
            names.insert(symbol.routine.name);
    return {names.begin(), names.end()};
}

const Routine &Routines::at(std::uint64_t address) const
{
    const auto after = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
    return after == symbols_.begin() ? unknown_ : std::prev(after)->routine;
}

} // namespace daxbench
