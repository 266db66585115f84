// SPDX-License-Identifier: Apache-2.0
// Where an image goes: a file that appears under its name only when it is complete, or a
// block device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "unique_fd.hpp"

namespace daxfs {

class OutputFile {
public:
    // Opens a temporary file beside target, which is replaced only by commit(); or the block
    // device target, which must not be in use and must begin with 1 MiB of zeros unless
    // force. Throws when target is anything else.
    explicit OutputFile(const std::string& target, bool force = false);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    // Removes the temporary file when it was not committed.
    ~OutputFile();

    // Write all bytes at offset. Thread-safe.
    void write(std::uint64_t offset, std::span<const std::byte> bytes);
    // Fill all of `to` with what was written at offset. Thread-safe.
    void read(std::uint64_t offset, std::span<std::byte> to) const;
    // Bytes that nothing is written to read as 0; on a device that has to be done. Thread-safe.
    void zero(std::uint64_t offset, std::uint64_t size);
    // Set the size, write everything to the medium if asked to, rename.
    void commit(std::uint64_t size, bool sync);

private:
    void open_device(bool force);

    std::string target_;
    bool is_device_ = false;
    std::string temporary_;
    UniqueFd fd_;
};

}  // namespace daxfs
