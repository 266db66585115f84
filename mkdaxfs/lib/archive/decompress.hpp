// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "input.hpp"
#include "shared_file.hpp"

struct archive;

namespace daxfs {

// The bytes of a stream that may be compressed, in one of the ways that need no other program, or
// not. Reading throws where the data is not what its own checksums say. `name` is for messages.
ReadBytes decompressed(ReadBytes read, std::string name);

// Does decompressed() change anything of what begins like this? Reads some of it.
bool is_compressed(ReadBytes read, const std::string &name);

// Give libarchive a stream. What it throws comes out of libarchive's functions as ARCHIVE_FATAL, and of
// rethrow() once more.
class ArchiveStream {
public:
    explicit ArchiveStream(ReadBytes read);
    // Of a file, what libarchive does not want is not read.
    ArchiveStream(FilePart part, const std::atomic<bool> *stop);

    // ARCHIVE_* as archive_read_open() returns it. Only once, and the stream must outlive the archive.
    int open(archive *in);
    void rethrow() const;
    // Reads all that is left. Is the stream zeros from there on?
    bool is_zero_from(std::uint64_t from);
    // From here on, where libarchive has come to, what is given stays, until since_kept() tells it.
    void keep_from(std::uint64_t from) { keep_from_ = from; }
    // What was given from there up to `end`, or to the end of what was; valid until more is read.
    std::string_view since_kept(std::uint64_t end = UINT64_MAX);

private:
    static ssize_t give(archive *in, void *self, const void **bytes);
    static std::int64_t skip(archive *in, void *self, std::int64_t bytes);
    std::size_t read_part(std::span<std::byte> to);
    std::size_t next();

    ReadBytes read_;
    FilePart part_;
    std::vector<std::byte> buffer_;
    std::uint64_t given_ = 0;
    std::uint64_t last_ = 0; // where the buffer begins
    // What came before the buffer, as far as libarchive has not used it or it is to be kept: it may have read
    // ahead.
    std::string kept_;
    std::optional<std::uint64_t> keep_from_;
    std::string told_;
    archive *in_ = nullptr;
    std::uint64_t end_of_data_ = 0; // behind the last byte given that is not zero
    std::exception_ptr failure_;
};

} // namespace daxfs
