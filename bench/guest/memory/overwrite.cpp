// SPDX-License-Identifier: Apache-2.0
#include "overwrite.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

#include "devices.hpp"
#include "io.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::size_t copy_size = std::size_t{1} << 20;

/// For O_DIRECT.
using Aligned = std::unique_ptr<char, decltype(&std::free)>;

Aligned aligned(std::size_t size)
{
    return {static_cast<char *>(std::aligned_alloc(page_size, size)), std::free};
}

std::string from_hex(const std::string &hex)
{
    std::string bytes;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    return bytes;
}

void write_page(int fd, std::uint64_t offset, const std::string &bytes, char *page)
{
    const std::uint64_t start = offset / page_size * page_size;
    if (offset - start + bytes.size() > page_size)
        throw std::runtime_error("expected a write within one page");
    if (::pread(fd, page, page_size, static_cast<off_t>(start)) != ssize_t{page_size})
        throw_errno("cannot read the shared memory");
    std::memcpy(page + (offset - start), bytes.data(), bytes.size());
    if (::pwrite(fd, page, page_size, static_cast<off_t>(start)) != ssize_t{page_size})
        throw_errno("cannot write the shared memory");
}

} // namespace

json overwrite_shared(const json &args)
{
    const UniqueFd fd = open_file(resolve_source("pmem"), O_RDWR | O_DIRECT);
    std::size_t writes = 0;
    if (args.value("copy", false)) {
        const UniqueFd from = open_file(resolve_source("tools"), O_RDONLY | O_DIRECT);
        const Aligned buffer = aligned(copy_size);
        for (off_t at = 0;; at += copy_size, ++writes) {
            const ssize_t got = ::pread(from.get(), buffer.get(), copy_size, at);
            if (got < 0)
                throw_errno("cannot read the other image");
            if (got == 0 || ::pwrite(fd.get(), buffer.get(), static_cast<std::size_t>(got), at) <= 0)
                break;
        }
        return {{"writes", writes}};
    }
    const Aligned page = aligned(page_size);
    for (const json &write : args.at("writes")) {
        write_page(fd.get(), write.at(0), from_hex(write.at(1)), page.get());
        ++writes;
    }
    return {{"writes", writes}};
}

} // namespace daxbench
