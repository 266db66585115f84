// SPDX-License-Identifier: Apache-2.0
// Operations on mappings: mmap-touch, munmap, fork.
#include <cstdint>
#include <optional>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operation_parts.hpp"
#include "withheld.hpp"

namespace daxbench {

namespace {

class Touch : public Operation {
public:
    Touch(SelectedFile file, int flags, std::size_t cap)
        : file_(std::move(file)), flags_(flags), pages_((file_.size + page_size - 1) / page_size)
    {
        operations_ = cap ? std::min(pages_, cap) : pages_;
        units_ = static_cast<double>(operations_);
    }

    void warm_up() override { read_whole_file(file_.path); }

    // At an address that is a multiple of 2 MiB, so that every file system may use 2 MiB pages and
    // the number of page tables is the same in every run.
    void before() override
    {
        const UniqueFd fd = open_file(file_.path, O_RDONLY);
        reserved_bytes_ = pages_ * page_size + huge_size;
        reserved_ =
            ::mmap(nullptr, reserved_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (reserved_ == MAP_FAILED)
            throw_errno("cannot reserve addresses for " + file_.path);
        const auto address = reinterpret_cast<std::uintptr_t>(reserved_);
        const std::size_t skip = (huge_size - address % huge_size) % huge_size;
        void *const aligned = static_cast<char *>(reserved_) + skip;
        void *const map = ::mmap(aligned, file_.size, protection_, flags_ | MAP_FIXED, fd.get(), 0);
        if (map == MAP_FAILED)
            throw_errno("cannot map " + file_.path);
        base_ = static_cast<const char *>(map);
    }

    void after() override { ::munmap(reserved_, reserved_bytes_); }

    void pass() override { touch_pages(base_, operations_); }

protected:
    SelectedFile file_;
    int flags_;
    std::size_t pages_;
    int protection_ = PROT_READ;
    const volatile char *base_ = nullptr;

private:
    void *reserved_ = nullptr;
    std::size_t reserved_bytes_ = 0;
};

class TouchInOrder : public Touch {
public:
    TouchInOrder(const SelectedFile &file, int flags, std::vector<std::uint32_t> order)
        : Touch(file, flags, order.size()), order_(std::move(order))
    {
    }

    void pass() override
    {
        for (const std::uint32_t page : order_)
            (void)base_[std::size_t{page} * page_size];
    }

private:
    std::vector<std::uint32_t> order_;
};

/// Takes away a mapping all of whose pages were touched.
class Unmap : public Touch {
public:
    explicit Unmap(const SelectedFile &file, int flags) : Touch(file, flags, 0) {}

    void before() override
    {
        Touch::before();
        touch_pages(base_, pages_);
    }

    void pass() override
    {
        if (::munmap(const_cast<char *>(base_), pages_ * page_size) != 0)
            throw_errno("cannot unmap " + file_.path);
    }
};

/// A child that ends at once, of a process that has touched all of a mapping; a private one has been
/// written to in one place, as a program's data are, so that the child gets a copy of its page tables. The
/// agent's own memory is kept from it, or the row would move with the agent.
class Fork : public Touch {
public:
    explicit Fork(const SelectedFile &file, int flags) : Touch(file, flags, 0)
    {
        operations_ = 1;
        units_ = 1;
        if (flags & MAP_PRIVATE)
            protection_ |= PROT_WRITE;
    }

    void before() override
    {
        Touch::before();
        touch_pages(base_, pages_);
        if (protection_ & PROT_WRITE)
            *const_cast<volatile char *>(base_) = 'w';
        const auto start = reinterpret_cast<std::uintptr_t>(base_);
        withheld_.emplace(AddressRange{start, start + pages_ * page_size});
    }

    void after() override
    {
        withheld_.reset();
        Touch::after();
    }

    void pass() override
    {
        const pid_t child = fork_and_leave();
        int status = -1;
        if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0)
            throw_errno("cannot fork");
    }

private:
    std::optional<WithheldMemory> withheld_;
};

// Any page, each once.
std::vector<std::uint32_t> random_pages(const SelectedFile &file, std::size_t cap, std::uint64_t seed)
{
    auto order = permutation((file.size + page_size - 1) / page_size, seed);
    if (cap && order.size() > cap)
        order.resize(cap);
    return order;
}

// One page of each 2 MiB, which is what a page table covers.
std::vector<std::uint32_t> sparse_pages(const SelectedFile &file, std::uint64_t seed)
{
    constexpr std::size_t pages_each = huge_size / page_size;
    if (file.size < huge_size)
        throw std::runtime_error("expected a file of 2 MiB or more, got " + file.path);
    Random random(seed);
    auto order = permutation(file.size / huge_size, seed);
    for (std::uint32_t &page : order)
        page = static_cast<std::uint32_t>(page * pages_each + random.below(pages_each));
    return order;
}

int mapping_flags(const std::string &variant)
{
    if (variant != "shared" && variant != "private")
        throw std::runtime_error(fmt::format("expected the variant shared or private, got '{}'", variant));
    return variant == "shared" ? MAP_SHARED : MAP_PRIVATE;
}

} // namespace

void touch_whole_file(const SelectedFile &file)
{
    if (file.size == 0)
        return;
    const UniqueFd fd = open_file(file.path, O_RDONLY);
    void *const map = ::mmap(nullptr, file.size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (map == MAP_FAILED)
        throw_errno("cannot map " + file.path);
    touch_pages(static_cast<const char *>(map), (file.size + page_size - 1) / page_size);
    ::munmap(map, file.size);
}

std::unique_ptr<Operation> make_mmap_touch(const OperationRequest &request)
{
    const auto file = select_files(request.target, request.workload)[0];
    const int flags = mapping_flags(request.variant);
    if (request.pattern() == "random")
        return std::make_unique<TouchInOrder>(file, flags, random_pages(file, request.cap(), request.seed));
    if (request.pattern() == "sparse")
        return std::make_unique<TouchInOrder>(file, flags, sparse_pages(file, request.seed));
    return std::make_unique<Touch>(file, flags, request.cap());
}

std::unique_ptr<Operation> make_munmap(const OperationRequest &request)
{
    return std::make_unique<Unmap>(select_files(request.target, request.workload)[0],
                                   mapping_flags(request.variant));
}

std::unique_ptr<Operation> make_fork(const OperationRequest &request)
{
    return std::make_unique<Fork>(select_files(request.target, request.workload)[0],
                                  mapping_flags(request.variant));
}

} // namespace daxbench
