// SPDX-License-Identifier: Apache-2.0
#include "portion.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <stdexcept>

#include <fmt/core.h>

#include "files.hpp"

namespace daxbench {
namespace {

using std::string;
using std::vector;

double estimate_of(const Portion &portion)
{
    return estimate_seconds(portion, 1);
}

bool read_number(const char *&at, const char *end, unsigned &number)
{
    const auto [stop, error] = std::from_chars(at, end, number);
    at = stop;
    return error == std::errc() && number > 0;
}

} // namespace

vector<Portion> portions_of(const vector<Cell> &cells)
{
    vector<Portion> portions;
    std::map<std::pair<string, string>, std::size_t> builds; // experiment, dataset → its portion
    for (const auto &cell : cells) {
        if (cell.driver != Driver::build) {
            portions.push_back({cell});
            continue;
        }
        const auto [known, added] = builds.emplace(std::pair(cell.experiment, cell.dataset), portions.size());
        if (added)
            portions.emplace_back();
        portions[known->second].push_back(cell);
    }
    return portions;
}

vector<Portion> shuffled(vector<Portion> portions, int seed)
{
    const auto rank = [seed](const Portion &portion) {
        return xxh3_text(fmt::format("{} {}", seed, portion.front().id));
    };
    std::sort(portions.begin(), portions.end(),
              [&](const Portion &one, const Portion &other) { return rank(one) < rank(other); });
    return portions;
}

Shard parse_shard(const string &text)
{
    Shard shard;
    const char *at = text.data();
    const char *const end = at + text.size();
    const bool good = read_number(at, end, shard.index) && at < end && *at++ == '/' &&
                      read_number(at, end, shard.of) && at == end && shard.index <= shard.of;
    if (!good)
        throw std::runtime_error(fmt::format("expected --shard I/N with I from 1 to N, got {}", text));
    return shard;
}

string to_text(const Shard &shard)
{
    return fmt::format("{}/{}", shard.index, shard.of);
}

vector<Cell> cells_of_shard(const vector<Cell> &cells, const Shard &shard)
{
    auto portions = portions_of(cells);
    std::stable_sort(portions.begin(), portions.end(), [](const Portion &one, const Portion &other) {
        return estimate_of(one) > estimate_of(other);
    });
    // The longest first, each to the shard with the least to do.
    vector<double> load(shard.of);
    std::set<string> mine;
    for (const auto &portion : portions) {
        const auto least = std::min_element(load.begin(), load.end());
        *least += estimate_of(portion);
        if (least - load.begin() == static_cast<std::ptrdiff_t>(shard.index) - 1)
            for (const auto &cell : portion)
                mine.insert(cell.id);
    }
    vector<Cell> kept;
    std::copy_if(cells.begin(), cells.end(), std::back_inserter(kept),
                 [&](const Cell &cell) { return mine.contains(cell.id); });
    return kept;
}

} // namespace daxbench
