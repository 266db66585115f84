// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "unique_fd.hpp"

namespace daxfs {

class OutputFile {
public:
    // Opens a temporary file beside target, which is replaced only by commit().
    // Throws when target is there and is no regular file.
    explicit OutputFile(const std::string& target);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    // Removes the temporary file when it was not committed.
    ~OutputFile();

    // Write all bytes at offset. Thread-safe.
    void write(std::uint64_t offset, std::span<const std::byte> bytes);
    // Fill all of `to` with what was written at offset. Thread-safe.
    void read(std::uint64_t offset, std::span<std::byte> to) const;
    // Set the size, write everything to the medium if asked to, rename.
    void commit(std::uint64_t size, bool sync);

private:
    std::string target_;
    std::string temporary_;
    UniqueFd fd_;
};

}  // namespace daxfs
