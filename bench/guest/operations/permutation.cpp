// SPDX-License-Identifier: Apache-2.0
#include "permutation.hpp"

#include <numeric>
#include <utility>

namespace daxbench {

std::vector<std::uint32_t> permutation(std::size_t count, std::uint64_t seed)
{
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    Random random(seed);
    for (std::size_t i = count; i > 1; --i)
        std::swap(order[i - 1], order[random.below(i)]);
    return order;
}

} // namespace daxbench
