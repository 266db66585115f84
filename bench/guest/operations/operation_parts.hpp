// SPDX-License-Identifier: Apache-2.0
// What operations share: memory, names and orders that cost nothing while they are timed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <sys/mman.h>

#include <fmt/format.h>

#include "io.hpp"
#include "operation.hpp"
#include "permutation.hpp"
#include "protocol.hpp"
#include "selection.hpp"

namespace daxbench {

inline constexpr std::size_t page_size = 4096;
inline constexpr std::size_t huge_size = std::size_t{2} << 20;
inline constexpr double mebibyte = 1 << 20;

// Memory of our own, page-aligned and already there, so that no fault of it is counted.
class Buffer {
public:
    explicit Buffer(std::size_t size) : size_(size)
    {
        void *map =
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (map == MAP_FAILED)
            throw_errno(fmt::format("cannot get a buffer of {} bytes", size));
        data_ = static_cast<char *>(map);
        std::memset(data_, 1, size);
    }
    ~Buffer() { ::munmap(data_, size_); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    char *data() const { return data_; }
    std::size_t size() const { return size_; }

private:
    char *data_ = nullptr;
    std::size_t size_ = 0;
};

// Names that end in NUL, in one piece of memory.
class PathList {
public:
    explicit PathList(const std::vector<SelectedFile> &files)
    {
        std::vector<std::size_t> starts;
        for (const SelectedFile &file : files) {
            starts.push_back(text_.size());
            text_ += file.path;
            text_ += '\0';
        }
        for (const std::size_t start : starts)
            paths_.push_back(text_.c_str() + start);
    }
    PathList(const PathList &) = delete;
    PathList &operator=(const PathList &) = delete;

    std::size_t size() const { return paths_.size(); }
    auto begin() const { return paths_.begin(); }
    auto end() const { return paths_.end(); }

private:
    std::string text_;
    std::vector<const char *> paths_;
};

// Reads all of a file once.
void read_whole_file(const std::string &path);
// Maps all of it, shared, and touches every page once.
void touch_whole_file(const SelectedFile &file);

// The lean heart of every mapping benchmark.
inline void touch_pages(const volatile char *base, std::size_t pages)
{
    const volatile char *const end = base + pages * page_size;
    for (; base != end; base += page_size)
        (void)*base;
}

/// How operations of one kind are made: from the tree's root, the workload, its variant and the seed.
struct OperationRequest {
    const std::string &target;
    const json &workload;
    const std::string &variant;
    std::uint64_t seed;

    std::size_t cap() const { return workload.value("iterations", std::size_t{0}); }
    std::size_t block() const { return workload.value("block", page_size); }
    std::string pattern() const { return workload.value("pattern", "sequential"); }
};

using MakeOperation = std::unique_ptr<Operation> (*)(const OperationRequest &);

std::unique_ptr<Operation> make_read(const OperationRequest &request);
std::unique_ptr<Operation> make_mmap_touch(const OperationRequest &request);
std::unique_ptr<Operation> make_touch_apart(const OperationRequest &request);
std::unique_ptr<Operation> make_munmap(const OperationRequest &request);
std::unique_ptr<Operation> make_fork(const OperationRequest &request);
std::unique_ptr<Operation> make_open_mmap_touch_close(const OperationRequest &request);
std::unique_ptr<Operation> make_open_close(const OperationRequest &request);
std::unique_ptr<Operation> make_stat(const OperationRequest &request);
std::unique_ptr<Operation> make_walk(const OperationRequest &request);
std::unique_ptr<Operation> make_lookup(const OperationRequest &request);
std::unique_ptr<Operation> make_mount(const OperationRequest &request);

} // namespace daxbench
