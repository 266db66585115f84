// SPDX-License-Identifier: Apache-2.0
// Both ends of a pipe, closed at execve(2).
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "io.hpp"

namespace daxbench {

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

inline Pipe make_pipe()
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        throw_errno("cannot make a pipe");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

} // namespace daxbench
