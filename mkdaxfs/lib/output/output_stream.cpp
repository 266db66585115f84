// SPDX-License-Identifier: Apache-2.0
#include "output_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <ostream>
#include <vector>

#include "error.hpp"
#include "nameless_output.hpp"

namespace daxfs {

namespace {

class StreamOutput : public NamelessOutput {
public:
    explicit StreamOutput(std::ostream &to) : to_(to) {}

    void commit(std::span<const std::byte> super, std::uint64_t size, bool) override
    {
        complete(super, size);
        std::vector<std::byte> piece(1 << 20);
        for (std::uint64_t at = 0; at < size; at += piece.size()) {
            const std::span part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), size - at));
            read(at, part);
            errno = 0;
            to_.write(reinterpret_cast<const char *>(part.data()), static_cast<std::streamsize>(part.size()));
            if (!to_ || !to_.flush())
                throw system_failure(errno == 0 ? EIO : errno, "cannot write the image to standard output");
        }
    }

private:
    std::ostream &to_;
};

} // namespace

std::unique_ptr<Output> open_stream(std::ostream &to)
{
    return std::make_unique<StreamOutput>(to);
}

} // namespace daxfs
