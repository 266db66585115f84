// SPDX-License-Identifier: Apache-2.0
#include "standard_streams.hpp"

#include <cstdlib>
#include <initializer_list>

#include <fcntl.h>
#include <unistd.h>

namespace daxfs {

void hold_standard_streams()
{
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        // Not O_CLOEXEC: a program that is started needs them, too.
        if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH | O_DIRECTORY) != fd)
            std::abort();
    }
}

} // namespace daxfs
