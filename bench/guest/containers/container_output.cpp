// SPDX-License-Identifier: Apache-2.0
#include "container_output.hpp"

#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "protocol.hpp"

namespace daxbench {

ContainerOutput::ContainerOutput() : null_(open_file("/dev/null", O_RDWR)), pipe_(make_pipe()) {}

bool ContainerOutput::read_first()
{
    char buffer[4096];
    ssize_t got = 0;
    do
        got = ::read(pipe_.read_end.get(), buffer, sizeof buffer);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        throw_errno("cannot read what a container prints");
    text_.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
}

void ContainerOutput::read_to_end()
{
    while (read_first()) {
    }
}

void ContainerOutput::read_to_line(const std::string &line, int timeout_s)
{
    while (("\n" + text_).find("\n" + line + "\n") == std::string::npos) {
        pollfd waiting{pipe_.read_end.get(), POLLIN, 0};
        const int ready = ::poll(&waiting, 1, timeout_s * 1000);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || !read_first())
            throw std::runtime_error(fmt::format(
                "expected a container to print the line '{}', it {} after: {}", line,
                ready <= 0 ? "printed no more" : "ended", percent_encode(trim(text_).substr(0, 300))));
    }
}

} // namespace daxbench
