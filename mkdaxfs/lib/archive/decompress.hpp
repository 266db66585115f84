// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include <sys/types.h>

#include "input.hpp"

struct archive;

namespace daxfs {

// The bytes of a stream that may be compressed, in one of the ways that need no other program, or
// not. Reading throws where the data is not what its own checksums say. `name` is for messages.
ReadBytes decompressed(ReadBytes read, std::string name);

// Give libarchive a stream. What it throws comes out of libarchive's functions as ARCHIVE_FATAL, and of
// rethrow() once more.
class ArchiveStream {
public:
    explicit ArchiveStream(ReadBytes read);

    // ARCHIVE_* as archive_read_open() returns it. Only once, and the stream must outlive the archive.
    int open(archive *in);
    void rethrow() const;
    // Reads all that is left. Is the stream zeros from there on?
    bool is_zero_from(std::uint64_t from);

private:
    static ssize_t give(archive *in, void *self, const void **bytes);
    std::size_t next();

    ReadBytes read_;
    std::vector<std::byte> buffer_;
    std::uint64_t given_ = 0;
    std::uint64_t end_of_data_ = 0; // behind the last byte given that is not zero
    std::exception_ptr failure_;
};

} // namespace daxfs
