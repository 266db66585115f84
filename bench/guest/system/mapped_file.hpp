// SPDX-License-Identifier: Apache-2.0
// A file, mapped shared and read-only, until it is destroyed.
#pragma once

#include <cstddef>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>

#include "io.hpp"

namespace daxbench {

class MappedFile {
public:
    MappedFile(const std::string &path, std::size_t size) : size_(size)
    {
        const UniqueFd fd = open_file(path, O_RDONLY);
        start_ = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
        if (start_ == MAP_FAILED)
            throw_errno("cannot map " + path);
    }
    MappedFile(const MappedFile &) = delete;
    MappedFile &operator=(const MappedFile &) = delete;
    ~MappedFile() { ::munmap(start_, size_); }

    void *start() const { return start_; }
    std::size_t size() const { return size_; }
    /// One byte of each page of 4 KiB.
    void touch() const
    {
        for (std::size_t at = 0; at < size_; at += 4096)
            (void)static_cast<const volatile char *>(start_)[at];
    }

private:
    std::size_t size_;
    void *start_ = nullptr;
};

} // namespace daxbench
