// SPDX-License-Identifier: Apache-2.0
#include "guest_channel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

namespace daxbench {

using Clock = std::chrono::steady_clock;

int milliseconds_left(Deadline deadline)
{
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    // Rounded up, so that a wait does not spin through its last millisecond.
    return left < 0 ? 0 : static_cast<int>(std::min<long long>(left + 1, 3600000));
}

bool Channel::connect(const std::filesystem::path &socket, Deadline deadline,
                      const std::function<bool()> &alive)
{
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const auto path = socket.string();
    if (path.size() >= sizeof address.sun_path)
        throw std::runtime_error(fmt::format(
            "expected a socket at {}, but such a path may have {} bytes: set TMPDIR to a short one", path,
            sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.c_str(), path.size());
    fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    for (;;) {
        throw_if_interrupted();
        if (::connect(fd_.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0)
            return true;
        if (!alive() || milliseconds_left(deadline) == 0) {
            fd_.reset();
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

void Channel::adopt(Fd fd)
{
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    fd_ = std::move(fd);
}

ChannelEvent Channel::send(const std::string &line, Deadline deadline)
{
    for (std::size_t done = 0; done < line.size();) {
        throw_if_interrupted();
        const auto n = ::send(fd_.get(), line.data() + done, line.size() - done, MSG_NOSIGNAL);
        if (n > 0) {
            done += static_cast<std::size_t>(n);
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return ChannelEvent::closed;
        const int left = milliseconds_left(deadline);
        if (left == 0)
            return ChannelEvent::deadline;
        pollfd fds[2] = {{fd_.get(), POLLOUT, 0}, {interrupt_fd(), POLLIN, 0}};
        poll(fds, 2, left);
    }
    return ChannelEvent::line;
}

ChannelEvent Channel::receive(std::string &line, Deadline deadline)
{
    for (;;) {
        throw_if_interrupted();
        if (auto next = framer_.next()) {
            line = std::move(*next);
            return ChannelEvent::line;
        }
        char buffer[65536];
        const auto n = read(fd_.get(), buffer, sizeof buffer);
        if (n > 0) {
            framer_.feed({buffer, static_cast<std::size_t>(n)});
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return ChannelEvent::closed;
        const int left = milliseconds_left(deadline);
        if (left == 0)
            return ChannelEvent::deadline;
        pollfd fds[2] = {{fd_.get(), POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
        poll(fds, 2, left);
    }
}

} // namespace daxbench
