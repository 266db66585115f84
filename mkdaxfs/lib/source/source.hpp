// SPDX-License-Identifier: Apache-2.0
// Where a tree comes from: a directory, an archive, an OCI image, text, or several.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "digest.hpp"
#include "tree.hpp"
#include "tree_builder.hpp"
#include "uuid.hpp"

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
    // Fill all of `to` unless that takes waiting, for a disk say: then, and where nobody can tell,
    // begin to bring the bytes and return false.
    virtual bool read_now(std::uint64_t offset, std::span<std::byte> to)
    {
        read(offset, to);
        return true;
    }
    // These bytes will be read soon: bring them nearer, if that can be done meanwhile.
    virtual void will_read([[maybe_unused]] std::uint64_t offset, [[maybe_unused]] std::uint64_t len) {}
    // Where the source keeps data; the rest of the file is known to read as 0.
    virtual std::vector<ByteRange> data_ranges() = 0;
    // Throws when the file is no longer what scan() saw.
    virtual void check_unchanged() = 0;
    // The file that has the content at the same offsets; -1 when there is none.
    virtual int fd() const { return -1; }
};

// What belongs to an image rather than to its tree.
struct ImageIdentity {
    std::optional<std::string> label;
    std::optional<Uuid> uuid;
    std::optional<std::int64_t> build_time;
    std::optional<DigestKind> digest;
};

class TreeSource {
public:
    virtual ~TreeSource() = default;
    // The whole tree without file contents. finish() has not been called on it.
    virtual std::unique_ptr<Tree> scan(const Workers &workers) = 0;
    // Put the whole tree over what is in the builder: what a source must have to be one of several.
    virtual void add_to([[maybe_unused]] TreeBuilder &builder, [[maybe_unused]] const Workers &workers)
    {
        throw std::logic_error("a source that cannot be merged with others");
    }
    // What the source says of the image as a whole; valid after scan().
    virtual ImageIdentity identity() const { return {}; }
    // Open a regular file of that tree, finished by now. Thread-safe.
    virtual std::unique_ptr<FileContent> open(const Tree &tree, NodeId node) const = 0;
};

} // namespace daxfs
