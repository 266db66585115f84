// SPDX-License-Identifier: Apache-2.0
// What the tests of mkdaxfs' parts read instead of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "source.hpp"

namespace daxfs {

// A file in memory, from a source that knows of no holes.
class MemoryFile : public FileContent {
public:
    explicit MemoryFile(std::string bytes) : bytes_(std::move(bytes)), ranges_{{0, bytes_.size()}} {}
    void read(std::uint64_t offset, std::span<std::byte> to) override
    {
        ASSERT_LE(offset + to.size(), bytes_.size());
        std::memcpy(to.data(), bytes_.data() + offset, to.size());
    }
    std::vector<ByteRange> data_ranges() override { return ranges_; }
    void check_unchanged() override {}
    bool read_now(std::uint64_t offset, std::span<std::byte> to) override
    {
        if (on_disk)
            return false;
        read(offset, to);
        return true;
    }
    void will_read(std::uint64_t offset, std::uint64_t len) override
    {
        announced.push_back({offset, offset + len});
    }

    void set_ranges(std::vector<ByteRange> ranges) { ranges_ = std::move(ranges); }

    std::vector<ByteRange> announced;
    bool on_disk = true;

private:
    std::string bytes_;
    std::vector<ByteRange> ranges_;
};

} // namespace daxfs
