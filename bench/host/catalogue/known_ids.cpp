// SPDX-License-Identifier: Apache-2.0
#include "known_ids.hpp"

#include <algorithm>
#include <numeric>

namespace daxbench {

std::size_t distance(const std::string &from, const std::string &to)
{
    std::vector<std::size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (const char letter : from) {
        auto diagonal = row[0]++;
        for (std::size_t i = 1; i < row.size(); ++i) {
            const auto changed = diagonal + (letter == to[i - 1] ? 0 : 1);
            diagonal = row[i];
            row[i] = std::min({changed, row[i] + 1, row[i - 1] + 1});
        }
    }
    return row.back();
}

} // namespace daxbench
