// SPDX-License-Identifier: Apache-2.0
#include "output.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <endian.h>
#include <unistd.h>

#include <fmt/core.h>

#include "daxfs_format.h"
#include "error.hpp"

namespace daxfs {

namespace {

constexpr std::uint64_t begin_bytes = 1 << 20;

const char *what_it_holds(std::span<const std::byte> begin)
{
    const std::uint64_t magic = htole64(DAXFS_SB_MAGIC);
    const bool is_image =
        begin.size() >= sizeof magic && std::memcmp(begin.data(), &magic, sizeof magic) == 0;
    return is_image ? "a DAXFS image" : "something";
}

} // namespace

void Output::write_zeros(std::uint64_t offset, std::uint64_t size)
{
    const std::vector<std::byte> zeros(std::min<std::uint64_t>(size, 1 << 20));
    for (std::uint64_t done = 0; done < size; done += zeros.size())
        write(offset + done, std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), size - done)));
}

void Output::take_over(const std::string &name, std::uint64_t capacity, bool force)
{
    std::vector<std::byte> begin(std::min(capacity, begin_bytes));
    read(0, begin);
    if (std::all_of(begin.begin(), begin.end(), [](std::byte b) { return b == std::byte{0}; }))
        return;
    if (!force)
        throw std::runtime_error(
            fmt::format("expected memory that begins with 1 MiB of zeros, {} holds {}: --force overwrites it",
                        name, what_it_holds(begin)));
    write_zeros(0, begin.size());
    bring_to_medium(0, begin.size()); // before anything else is
}

void Output::commit_in_place(std::span<const std::byte> super, std::uint64_t size, bool sync)
{
    if (sync)
        bring_to_medium(super.size(), size - super.size());
    write(0, super);
    if (!sync)
        return;
    try {
        bring_to_medium(0, super.size());
    } catch (const std::exception &) {
        // The page cache has it, and the medium may or may not.
        write_zeros(0, super.size());
        throw;
    }
}

void FdOutput::write(std::uint64_t offset, std::span<const std::byte> bytes)
{
    while (!bytes.empty()) {
        const ssize_t put = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            throw system_failure(errno, "cannot write the image " + printable(target_));
        offset += static_cast<std::uint64_t>(put);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

void FdOutput::read(std::uint64_t offset, std::span<std::byte> to) const
{
    while (!to.empty()) {
        const ssize_t got = pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            throw system_failure(got < 0 ? errno : EIO, "cannot read the image " + printable(target_));
        offset += static_cast<std::uint64_t>(got);
        to = to.subspan(static_cast<std::size_t>(got));
    }
}

} // namespace daxfs
