// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "source.hpp"
#include "unique_fd.hpp"

namespace daxfs {

// A nameless file that holds what a stream brought until the image is written: memory
// does not depend on the sizes of files. Holes cost no space.
class Spool {
public:
    // In the directory $TMPDIR, else in /var/tmp.
    Spool();

    // Where the next file goes. Its bytes may be written before take() says how many they
    // are; what is not written reads as 0.
    std::uint64_t next() const { return end_; }
    void take(std::uint64_t size);
    void write(std::uint64_t at, std::span<const std::byte> bytes);
    // Fill all of `to`; throws when that cannot be read.
    void read(std::uint64_t at, std::span<std::byte> to) const;
    // The regular file whose bytes begin at Node::content. Thread-safe.
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const;

    // Everything on its way is in the file afterwards. Thread-safe.
    void flush() const;
    int fd() const { return fd_.get(); }

private:
    void write_through(std::uint64_t at, std::span<const std::byte> bytes) const;

    std::string dir_;
    UniqueFd fd_;
    std::uint64_t end_ = 0;
    // Small files come one after the other: they go out many at a time.
    mutable std::mutex mutex_;
    mutable std::vector<std::byte> buffer_;
    mutable std::uint64_t buffer_at_ = 0;
    mutable std::atomic<bool> is_flushed_ = true;
};

} // namespace daxfs
