// SPDX-License-Identifier: Apache-2.0
// The operation touch-apart.
#include <algorithm>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "operation_parts.hpp"

namespace daxbench {

namespace {

constexpr std::size_t default_touches = 64;

// Each page in a mapping of its own: what finding it costs in a file of any size, and no page table shared.
class TouchApart : public Operation {
public:
    TouchApart(SelectedFile file, std::size_t touches) : file_(std::move(file))
    {
        const std::uint64_t pages = file_.size / page_size;
        if (pages == 0)
            throw std::runtime_error("expected a file of a page or more, got " + file_.path);
        const std::uint64_t count = std::min<std::uint64_t>(pages, touches);
        for (std::uint64_t i = 0; i < count; ++i)
            offsets_.push_back(
                static_cast<off_t>((count == 1 ? 0 : (pages - 1) * i / (count - 1)) * page_size));
        operations_ = offsets_.size();
        units_ = static_cast<double>(operations_);
    }

    void warm_up() override
    {
        before();
        pass();
        after();
    }
    void before() override { fd_ = open_file(file_.path, O_RDONLY); }
    void after() override { fd_.reset(); }

    void pass() override
    {
        for (const off_t offset : offsets_) {
            void *const map = ::mmap(nullptr, page_size, PROT_READ, MAP_SHARED, fd_.get(), offset);
            if (map == MAP_FAILED)
                throw_errno("cannot map a page of " + file_.path);
            touch_pages(static_cast<const char *>(map), 1);
            ::munmap(map, page_size);
        }
    }

private:
    SelectedFile file_;
    std::vector<off_t> offsets_;
    UniqueFd fd_;
};

} // namespace

std::unique_ptr<Operation> make_touch_apart(const OperationRequest &request)
{
    const auto file = select_files(request.target, request.workload)[0];
    return std::make_unique<TouchApart>(file, request.cap() ? request.cap() : default_touches);
}

} // namespace daxbench
