// SPDX-License-Identifier: Apache-2.0
// Where an image goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "unique_fd.hpp"

namespace daxfs {

// All of it but commit() is thread-safe.
class Output {
public:
    virtual ~Output() = default;

    // All of these bytes are about to be written.
    virtual void will_write([[maybe_unused]] std::uint64_t offset, [[maybe_unused]] std::uint64_t size) {}
    // Write all bytes at offset.
    virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
    // Take bytes over from a file without copying them; false where that cannot be.
    virtual bool clone([[maybe_unused]] int from, [[maybe_unused]] std::uint64_t from_offset,
                       [[maybe_unused]] std::uint64_t size, [[maybe_unused]] std::uint64_t offset)
    {
        return false;
    }
    // Fill all of `to` with what was written at offset.
    virtual void read(std::uint64_t offset, std::span<std::byte> to) const = 0;
    // Bytes that nothing else is written to: they read as 0 afterwards.
    virtual void zero(std::uint64_t offset, std::uint64_t size) = 0;
    // The image, this long, is complete but for its superblock: write that, too. If asked to sync, all
    // is on the medium afterwards, and the superblock is not there before the rest.
    virtual void commit(std::span<const std::byte> super, std::uint64_t size, bool sync) = 0;
    // Is what was there gone before commit()?
    virtual bool is_in_place() const { return false; }

protected:
    // What is written in place: returns once these bytes are on the medium.
    virtual void bring_to_medium([[maybe_unused]] std::uint64_t offset, [[maybe_unused]] std::uint64_t size)
    {
    }
    // commit() for it. Where it throws there is no image.
    void commit_in_place(std::span<const std::byte> super, std::uint64_t size, bool sync);
    void write_zeros(std::uint64_t offset, std::uint64_t size);
    // Throws unless the first MiB is zeros or force is set; whatever this memory held is no
    // filesystem any more afterwards, should the run end early.
    void take_over(const std::string &name, std::uint64_t capacity, bool force);
};

// Opened only when the source has turned out to be good.
using OpenOutput = std::function<std::shared_ptr<Output>()>;

// What a file descriptor reads and writes.
class FdOutput : public Output {
public:
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void read(std::uint64_t offset, std::span<std::byte> to) const override;

protected:
    std::string target_; // for messages
    UniqueFd fd_;
};

} // namespace daxfs
