// SPDX-License-Identifier: Apache-2.0
// Gives out the bytes of an image's data region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace daxfs {

// All lengths and offsets are multiples of the 4 KiB block.
class Placer {
public:
    explicit Placer(std::uint64_t begin) : begin_(begin), end_(begin) {}

    // At the end, at an offset that equals phase modulo align (a power of two).
    // What is skipped becomes a gap.
    std::uint64_t aligned(std::uint64_t len, std::uint64_t align, std::uint64_t phase);
    // In the first gap that is large enough, else at the end. O(log gaps).
    std::uint64_t packed(std::uint64_t len);

    std::uint64_t begin() const { return begin_; }
    std::uint64_t end() const { return end_; }
    // Calls visit(offset, length) for each gap that nothing has filled.
    void for_each_gap(const std::function<void(std::uint64_t, std::uint64_t)> &visit) const;
    // Bytes in gaps that nothing has filled.
    std::uint64_t unused() const;

private:
    struct Gap {
        std::uint64_t off;
        std::uint64_t len;
    };
    void add_gap(Gap gap);
    void set_length(std::size_t gap, std::uint64_t len);

    std::uint64_t begin_;
    std::uint64_t end_;
    std::vector<Gap> gaps_;
    // Binary tree over gaps_, as an array: the longest gap below each node.
    std::vector<std::uint64_t> longest_;
    std::size_t leaves_ = 0;
};

} // namespace daxfs
