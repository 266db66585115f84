// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>

#include <unistd.h>

#include "error.hpp"
#include "nameless_file.hpp"
#include "output.hpp"

namespace daxfs {

// An image that waits in a nameless file until it is complete.
class NamelessOutput : public FdOutput {
public:
    NamelessOutput()
    {
        fd_ = open_nameless_file();
        target_ = "in " + temporary_directory();
    }

    void zero(std::uint64_t, std::uint64_t) override {}

protected:
    void complete(std::span<const std::byte> super, std::uint64_t size)
    {
        write(0, super);
        if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
            throw system_failure(errno, "cannot write the image " + target_);
    }
};

} // namespace daxfs
