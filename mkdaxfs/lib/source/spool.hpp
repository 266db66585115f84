// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "shared_file.hpp"
#include "source.hpp"
#include "unique_fd.hpp"

namespace daxfs {

// A nameless file that holds what a stream brought until the image is written: memory
// does not depend on the sizes of files. Holes cost no space, and are remembered: asking a filesystem for
// those of a large file can take as long as reading it.
class Spool {
public:
    // In the directory $TMPDIR, else in /var/tmp.
    Spool();

    // Where the next file goes. Its bytes may be written before take() says how many they
    // are; what is not written reads as 0.
    std::uint64_t next() const { return end_; }
    void take(std::uint64_t size);
    void write(std::uint64_t at, std::span<const std::byte> bytes);
    // What is in somebody else's file already, without a copy: where its first byte is here.
    std::uint64_t adopt(const FilePart &part);
    // Where in that file what begins here is; nowhere if it is the spool's own.
    FilePart part_at(std::uint64_t at, std::uint64_t size) const;
    // Fill all of `to`; throws when that cannot be read.
    void read(std::uint64_t at, std::span<std::byte> to) const;
    // The regular file whose bytes begin at Node::content. Thread-safe.
    std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const;

private:
    class File;
    struct Adopted {
        std::uint64_t at = 0; // here
        FilePart part;
    };

    const Adopted *adopted_at(std::uint64_t at) const;
    std::vector<ByteRange> data_ranges(std::uint64_t begin, std::uint64_t size) const;
    // Everything on its way is in the file afterwards. Thread-safe.
    void flush() const;
    void write_through(std::uint64_t at, std::span<const std::byte> bytes) const;

    std::string dir_;
    UniqueFd fd_;
    std::uint64_t end_ = 0;
    std::vector<ByteRange> written_; // of the file that is being written
    std::vector<ByteRange> holes_;   // of all files before, in order
    std::vector<Adopted> adopted_;   // in order, behind every file of the spool's own
    // Small files come one after the other: they go out many at a time.
    mutable std::mutex mutex_;
    mutable std::vector<std::byte> buffer_;
    mutable std::uint64_t buffer_at_ = 0;
    mutable std::atomic<bool> is_flushed_ = true;
};

} // namespace daxfs
