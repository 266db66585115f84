// SPDX-License-Identifier: Apache-2.0
#include "placer.hpp"

#include <algorithm>
#include <bit>

namespace daxfs {

std::uint64_t Placer::aligned(std::uint64_t len, std::uint64_t align, std::uint64_t phase)
{
    const std::uint64_t skip = (phase - end_) & (align - 1);
    if (skip != 0)
        add_gap({end_, skip});
    const std::uint64_t at = end_ + skip;
    end_ = at + len;
    return at;
}

void Placer::add_gap(Gap gap)
{
    gaps_.push_back(gap);
    if (gaps_.size() <= leaves_) {
        set_length(gaps_.size() - 1, gap.len);
        return;
    }
    leaves_ = std::bit_ceil(gaps_.size());
    longest_.assign(2 * leaves_, 0);
    for (std::size_t i = 0; i < gaps_.size(); ++i)
        longest_[leaves_ + i] = gaps_[i].len;
    for (std::size_t i = leaves_; i-- > 1;)
        longest_[i] = std::max(longest_[2 * i], longest_[2 * i + 1]);
}

void Placer::set_length(std::size_t gap, std::uint64_t len)
{
    std::size_t at = leaves_ + gap;
    longest_[at] = len;
    while (at /= 2)
        longest_[at] = std::max(longest_[2 * at], longest_[2 * at + 1]);
}

std::uint64_t Placer::packed(std::uint64_t len)
{
    if (longest_.empty() || longest_[1] < len) {
        end_ += len;
        return end_ - len;
    }
    std::size_t at = 1;
    while (at < leaves_)
        at = longest_[2 * at] >= len ? 2 * at : 2 * at + 1;
    Gap &gap = gaps_[at - leaves_];
    const std::uint64_t off = gap.off;
    gap.off += len;
    gap.len -= len;
    set_length(at - leaves_, gap.len);
    return off;
}

void Placer::for_each_gap(const std::function<void(std::uint64_t, std::uint64_t)> &visit) const
{
    for (const Gap &gap : gaps_) {
        if (gap.len != 0)
            visit(gap.off, gap.len);
    }
}

std::uint64_t Placer::unused() const
{
    std::uint64_t bytes = 0;
    for (const Gap &gap : gaps_)
        bytes += gap.len;
    return bytes;
}

} // namespace daxfs
