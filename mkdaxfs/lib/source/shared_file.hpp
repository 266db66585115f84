// SPDX-License-Identifier: Apache-2.0
// Files that are read in place, as far as they stay what they were.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <time.h>

#include "input.hpp"
#include "unique_fd.hpp"

namespace daxfs {

class SharedFile {
public:
    // Remembers how the file looks now. `name` is for messages.
    SharedFile(UniqueFd fd, std::string name);

    int fd() const { return fd_.get(); }
    std::uint64_t size() const { return size_; }
    bool is_regular() const { return is_regular_; }
    // Fill all of `to`; throws when the file has not so much.
    void read(std::uint64_t at, std::span<std::byte> to) const;
    // Throws when it is no longer what it was.
    void check_unchanged() const;

private:
    UniqueFd fd_;
    std::string name_;
    std::uint64_t size_ = 0;
    bool is_regular_ = false;
    timespec changed_ = {};
};

// Fill all of `to` from a place in a file. False when it ends first: what is left of `to` is untouched then.
// `name` is for messages.
bool read_whole(int fd, std::uint64_t at, std::span<std::byte> &to, const std::string &name);

// A stretch of a file; nothing without one.
struct FilePart {
    std::shared_ptr<const SharedFile> file;
    std::uint64_t begin = 0;
    std::uint64_t size = 0;
};

// Its bytes in order.
ReadBytes bytes_of_part(const FilePart &part, const std::atomic<bool> *stop);

} // namespace daxfs
