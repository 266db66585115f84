// SPDX-License-Identifier: Apache-2.0
#include "io.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

namespace daxbench {

void throw_errno(std::string_view what)
{
    const int error = errno;
    throw std::runtime_error(std::string(what) + ": " + std::strerror(error));
}

UniqueFd open_file(const std::string &path, int flags, unsigned mode)
{
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd)
        throw_errno("cannot open " + path);
    return fd;
}

std::string read_file(const std::string &path)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    std::string text;
    char buffer[16384];
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got == 0)
            return text;
        if (got < 0) {
            if (errno == EINTR)
                continue;
            throw_errno("cannot read " + path);
        }
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

void write_all(int fd, std::string_view data)
{
    while (!data.empty()) {
        const ssize_t done = ::write(fd, data.data(), data.size());
        if (done < 0) {
            if (errno == EINTR)
                continue;
            throw_errno("cannot write");
        }
        data.remove_prefix(static_cast<std::size_t>(done));
    }
}

void write_file(const std::string &path, std::string_view data)
{
    const UniqueFd fd = open_file(path, O_WRONLY);
    try {
        write_all(fd.get(), data);
    } catch (const std::runtime_error &error) {
        throw std::runtime_error(path + ": " + error.what());
    }
}

std::string_view trim(std::string_view text)
{
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

} // namespace daxbench
