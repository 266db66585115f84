// SPDX-License-Identifier: Apache-2.0
// The operation read.
#include <algorithm>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

#include "operation_parts.hpp"

namespace daxbench {

namespace {

class ReadFile : public Operation {
public:
    ReadFile(SelectedFile file, std::size_t block)
        : file_(std::move(file)), buffer_(std::max(block, page_size)), block_(block)
    {
    }

    void warm_up() override { read_whole_file(file_.path); }
    void before() override { fd_ = open_file(file_.path, O_RDONLY); }
    void after() override { fd_.reset(); }

protected:
    SelectedFile file_;
    Buffer buffer_;
    std::size_t block_;
    UniqueFd fd_;
};

class ReadRandom : public ReadFile {
public:
    ReadRandom(const SelectedFile &file, std::size_t block, std::size_t cap, std::uint64_t seed)
        : ReadFile(file, block)
    {
        const std::size_t blocks = file.size / block;
        if (blocks == 0)
            throw std::runtime_error(fmt::format("expected a file of {} bytes or more, the largest "
                                                 "is {} with {}",
                                                 block, file.path, file.size));
        for (const std::uint32_t index : permutation(blocks, seed))
            offsets_.push_back(static_cast<off_t>(index) * static_cast<off_t>(block));
        if (cap && offsets_.size() > cap)
            offsets_.resize(cap);
        operations_ = offsets_.size();
        units_ = static_cast<double>(operations_);
    }

    void pass() override
    {
        const int fd = fd_.get();
        char *const buffer = buffer_.data();
        for (const off_t offset : offsets_)
            if (::pread(fd, buffer, block_, offset) != static_cast<ssize_t>(block_))
                throw_errno("cannot read a block of " + file_.path);
    }

private:
    std::vector<off_t> offsets_;
};

class ReadSequential : public ReadFile {
public:
    ReadSequential(const SelectedFile &file, std::size_t block, std::size_t cap)
        : ReadFile(file, block), bytes_(file.size)
    {
        if (cap)
            bytes_ = std::min<std::uint64_t>(bytes_, cap * block);
        operations_ = (bytes_ + block - 1) / block;
        units_ = static_cast<double>(bytes_) / mebibyte;
    }

    void pass() override
    {
        const int fd = fd_.get();
        for (std::uint64_t done = 0; done < bytes_;) {
            const ssize_t got = ::read(fd, buffer_.data(), block_);
            if (got <= 0)
                throw_errno("cannot read on in " + file_.path);
            done += static_cast<std::uint64_t>(got);
        }
    }

private:
    std::uint64_t bytes_;
};

} // namespace

void read_whole_file(const std::string &path)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    Buffer buffer(1 << 17);
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0)
            throw_errno("cannot read " + path);
        if (got == 0)
            return;
    }
}

std::unique_ptr<Operation> make_read(const OperationRequest &request)
{
    const auto file = select_files(request.target, request.workload)[0];
    if (request.pattern() == "random")
        return std::make_unique<ReadRandom>(file, request.block(), request.cap(), request.seed);
    return std::make_unique<ReadSequential>(file, request.block(), request.cap());
}

} // namespace daxbench
