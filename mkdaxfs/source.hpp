// SPDX-License-Identifier: Apache-2.0
// Where a tree comes from: a directory now; tar, OCI and text are to follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tree.hpp"

namespace daxfs {

// Bytes [begin, end) of a file.
struct ByteRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

// The content of one regular file.
class FileContent {
public:
    virtual ~FileContent() = default;
    // Fill all of `to` with the bytes from offset on; throws when they are not there.
    virtual void read(std::uint64_t offset, std::span<std::byte> to) = 0;
    // Where the source keeps data; the rest of the file is known to read as 0.
    virtual std::vector<ByteRange> data_ranges() = 0;
    // Throws when the file is no longer what scan() saw.
    virtual void check_unchanged() = 0;
};

class TreeSource {
public:
    virtual ~TreeSource() = default;
    // The whole tree without file contents. finish() has not been called on it.
    virtual std::unique_ptr<Tree> scan(const Workers& workers) = 0;
    // Open a regular file of that tree, finished by now. Thread-safe.
    virtual std::unique_ptr<FileContent> open(const Tree& tree, NodeId node) const = 0;
};

}  // namespace daxfs
