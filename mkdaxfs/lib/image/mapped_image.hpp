// SPDX-License-Identifier: Apache-2.0
// An image file or device in memory, and what happens when that memory cannot be read.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <signal.h>

namespace daxfs {

class MappedImage {
public:
    MappedImage() = default;
    // All of a file, block device or device-dax, to be read. Throws std::runtime_error for anything
    // else; a file without a byte is none to map.
    explicit MappedImage(const std::string &path);
    MappedImage(const MappedImage &) = delete;
    MappedImage &operator=(const MappedImage &) = delete;
    ~MappedImage();

    std::span<const std::uint8_t> bytes() const { return bytes_; }
    // The path as it is printed.
    const std::string &name() const { return name_; }

private:
    std::string name_;
    std::span<const std::uint8_t> bytes_;
};

// While it lives, a MappedImage that the medium, or a file that was cut, does not let be read ends
// the process with this status and one line that names image and byte. Without it that is SIGBUS,
// as it stays for all other memory.
class EndOnUnreadableImage {
public:
    // tool begins the line and must outlive this.
    EndOnUnreadableImage(const char *tool, int status);
    EndOnUnreadableImage(const EndOnUnreadableImage &) = delete;
    EndOnUnreadableImage &operator=(const EndOnUnreadableImage &) = delete;
    ~EndOnUnreadableImage();

private:
    struct sigaction before_ = {};
};

// Reads a byte of each page. A system call that is handed bytes which cannot be read fails as if its
// output had; the same read here says what it was.
void touch(std::span<const std::uint8_t> bytes);

} // namespace daxfs
