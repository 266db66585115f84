// SPDX-License-Identifier: Apache-2.0
// What the checks that run inside a guest share. The tree is test_features.cpp's.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include <sys/types.h>

#include <gtest/gtest.h>

#include "io.hpp"

namespace probe {

/// Where the image is mounted.
inline const std::string root = std::getenv("PROBE_ROOT") ? std::getenv("PROBE_ROOT") : "/mnt/x";

/// Asserts that a system call did not fail, and says why it did.
#define ASSERT_OK(call) ASSERT_GE((call), 0) << #call << ": " << strerror(errno)
#define EXPECT_ERRNO(call, error)                                                                            \
    do {                                                                                                     \
        errno = 0;                                                                                           \
        EXPECT_LT((call), 0) << #call;                                                                       \
        EXPECT_EQ(errno, error) << #call << ": " << strerror(errno);                                         \
    } while (0)

daxbench::UniqueFd open_read(const std::string &path);
/// Mapping of a whole file, unmapped at the end.
class Mapping {
public:
    Mapping(const std::string &path, int protection, int flags);
    ~Mapping();
    Mapping(const Mapping &) = delete;
    Mapping &operator=(const Mapping &) = delete;
    char *at(std::size_t page) const { return data_ + page * 4096; }
    char *data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t pages() const { return (size_ + 4095) / 4096; }

private:
    char *data_ = nullptr;
    std::size_t size_ = 0;
};

/// Runs it in a child; the wait status, and the test fails with what the child printed.
int in_child(const std::function<int()> &body);
/// Page frame numbers of `pages` pages from an address on; 0 where nothing is mapped.
std::uint64_t frame_at(const void *address);
/// Number of the page that the feature tree's /pages holds at its start.
std::uint32_t page_number(const char *page);

} // namespace probe
