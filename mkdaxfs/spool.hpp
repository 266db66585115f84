// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

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
    std::unique_ptr<FileContent> open(const Tree& tree, NodeId node) const;

    int fd() const { return fd_.get(); }

private:
    std::string dir_;
    UniqueFd fd_;
    std::uint64_t end_ = 0;
};

}  // namespace daxfs
