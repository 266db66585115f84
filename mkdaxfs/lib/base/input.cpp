// SPDX-License-Identifier: Apache-2.0
#include "input.hpp"

#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "error.hpp"
#include "workers.hpp"

namespace daxfs {

ReadBytes bytes_of(int fd, const std::string &name, const std::atomic<bool> *stop)
{
    return [fd, name, stop](std::span<std::byte> to) {
        for (;;) {
            check_stop(stop);
            // A signal that comes between the check and here is noticed after a tenth of a second.
            pollfd ready = {fd, POLLIN, 0};
            const int result = poll(&ready, 1, 100);
            if (result == 0 || (result < 0 && errno == EINTR))
                continue;
            const ssize_t got = read(fd, to.data(), to.size());
            if (got >= 0)
                return static_cast<std::size_t>(got);
            if (errno != EINTR)
                throw system_failure(errno, "cannot read " + printable(name));
        }
    };
}

ReadBytes bytes_of_file(UniqueFd file, const std::string &name, const std::atomic<bool> *stop)
{
    const int fd = file.get();
    return [kept = std::make_shared<UniqueFd>(std::move(file)),
            read = bytes_of(fd, name, stop)](std::span<std::byte> to) { return read(to); };
}

UniqueFd open_input(const std::string &path, const std::atomic<bool> *stop)
{
    for (;;) {
        UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (file)
            return file;
        if (errno != EINTR)
            throw system_failure(errno, "cannot open " + printable(path));
        check_stop(stop);
    }
}

} // namespace daxfs
