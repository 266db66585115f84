// SPDX-License-Identifier: Apache-2.0
#include "sparse.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace daxfs {

namespace {

constexpr std::uint64_t block_size = DAXFS_BLOCK_SIZE;
constexpr std::uint64_t window_blocks = smallest_hole / block_size;
constexpr std::uint64_t announce_blocks = (8 << 20) / block_size;

// Runs of blocks, [begin, end).
struct Run {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

class ZeroBlocks {
public:
    ZeroBlocks(FileContent &content, std::uint64_t size, ReadAhead *ahead, const std::atomic<bool> *stop)
        : content_(content), size_(size), ahead_(ahead), stop_(stop),
          blocks_(round_up(size, block_size) / block_size)
    {
        for (const ByteRange &range : content.data_ranges()) {
            const Run run = {range.begin / block_size, round_up(range.end, block_size) / block_size};
            if (!data_.empty() && run.begin <= data_.back().end)
                data_.back().end = run.end;
            else
                data_.push_back(run);
        }
    }

    std::uint64_t blocks() const { return blocks_; }

    // The runs of at least smallest_hole, in order. Any such run covers a block whose
    // number is one less than a multiple of the run's least length: probe only those.
    std::vector<Run> runs()
    {
        std::vector<Run> runs;
        std::uint64_t floor = 0;
        std::uint64_t probe = window_blocks - 1;
        while (probe < blocks_) {
            if (!is_zero(probe, 1)) {
                probe += window_blocks;
                continue;
            }
            const Run run = {first_zero(probe, floor), end_of_zeros(probe)};
            floor = run.end;
            probe = round_up(floor + 1, window_blocks) - 1;
            if (run.end - run.begin >= window_blocks)
                runs.push_back(run);
        }
        return runs;
    }

private:
    // The data run at or after block; one past the end when there is none.
    Run data_from(std::uint64_t block) const
    {
        const auto at = std::upper_bound(data_.begin(), data_.end(), block,
                                         [](std::uint64_t b, const Run &run) { return b < run.end; });
        return at == data_.end() ? Run{blocks_, blocks_} : *at;
    }

    bool is_zero(std::uint64_t block, std::uint64_t ahead)
    {
        if (data_from(block).begin > block)
            return true;
        if (block < loaded_.begin || block >= loaded_.end)
            load(block, ahead);
        const std::byte *at = buffer_.data() + (block - loaded_.begin) * block_size;
        return at[0] == std::byte{0} && std::memcmp(at, at + 1, block_size - 1) == 0;
    }

    void load(std::uint64_t block, std::uint64_t count)
    {
        check_stop(stop_);
        loaded_ = {block, std::min(block + count, blocks_)};
        const std::uint64_t begin = block * block_size;
        const std::uint64_t len = std::min(loaded_.end * block_size, size_) - begin;
        read(begin, std::span(buffer_).first(len));
        std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(len), buffer_.end(), std::byte{0});
    }

    void read(std::uint64_t begin, std::span<std::byte> to)
    {
        if (ahead_ && !ahead_->pays && content_.read_now(begin, to))
            return;
        if (ahead_) {
            ahead_->pays = true;
            announce(begin / block_size);
        }
        content_.read(begin, to);
    }

    void announce(std::uint64_t block)
    {
        const Run data = data_from(block);
        const std::uint64_t begin = std::max(announced_, data.begin);
        const std::uint64_t end = std::min(begin + announce_blocks, data.end);
        if (begin >= end || begin > block + announce_blocks)
            return;
        content_.will_read(begin * block_size, (end - begin) * block_size);
        announced_ = end;
    }

    std::uint64_t first_zero(std::uint64_t block, std::uint64_t floor)
    {
        // Never more than the distance to the probe before, which was not zero.
        while (block > floor && is_zero(block - 1, 1))
            --block;
        return block;
    }

    std::uint64_t end_of_zeros(std::uint64_t block)
    {
        while (block < blocks_ && is_zero(block, window_blocks)) {
            const std::uint64_t data = data_from(block).begin;
            block = data > block ? data : block + 1;
        }
        return block;
    }

    FileContent &content_;
    std::uint64_t size_;
    ReadAhead *ahead_;
    const std::atomic<bool> *stop_;
    std::uint64_t blocks_;
    std::uint64_t announced_ = 0;
    std::vector<Run> data_;
    Run loaded_;
    std::array<std::byte, smallest_hole> buffer_;
};

} // namespace

bool find_extents(FileContent &content, std::uint64_t size, std::vector<Extent> &extents, ReadAhead *ahead,
                  const std::atomic<bool> *stop)
{
    ZeroBlocks zeros(content, size, ahead, stop);
    const std::vector<Run> runs = zeros.runs();
    std::uint64_t zero_blocks = 0;
    for (const Run &run : runs)
        zero_blocks += run.end - run.begin;
    if (zero_blocks * 32 <= zeros.blocks())
        return false;

    std::uint64_t at = 0;
    const auto add_until = [&](std::uint64_t end) {
        if (end > at)
            extents.push_back({at * block_size, (end - at) * block_size, 0});
    };
    for (const Run &run : runs) {
        add_until(run.begin);
        at = run.end;
    }
    add_until(zeros.blocks());
    return true;
}

} // namespace daxfs
