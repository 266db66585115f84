// SPDX-License-Identifier: Apache-2.0
// What is read once, from its begin to its end: files, pipes, standard input. A pipe may stay
// silent for ever; a set stop flag ends the wait for it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <istream>
#include <span>
#include <streambuf>
#include <string>

#include "unique_fd.hpp"

namespace daxfs {

// Gives the next bytes of a stream, as many as fit at most; 0 at its end.
using ReadBytes = std::function<std::size_t(std::span<std::byte> to)>;

// Reads a descriptor to its end; `name` is for messages. Throws Interrupted once *stop is set.
ReadBytes bytes_of(int fd, const std::string &name, const std::atomic<bool> *stop);
// The same, and the descriptor goes with the function.
ReadBytes bytes_of_file(UniqueFd file, const std::string &name, const std::atomic<bool> *stop);
// Opens a file to be read; waits for a pipe's writer until *stop is set. Throws when that cannot be.
UniqueFd open_input(const std::string &path, const std::atomic<bool> *stop);

// Passes on what the function throws.
class InputStream : public std::istream {
public:
    explicit InputStream(ReadBytes read) : std::istream(nullptr), buffer_(std::move(read))
    {
        rdbuf(&buffer_);
        exceptions(std::ios::badbit);
    }

private:
    class Buffer : public std::streambuf {
    public:
        explicit Buffer(ReadBytes read) : read_(std::move(read)) {}

    protected:
        int_type underflow() override
        {
            const std::size_t got = read_(std::as_writable_bytes(std::span(bytes_)));
            setg(bytes_.data(), bytes_.data(), bytes_.data() + got);
            return got == 0 ? traits_type::eof() : traits_type::to_int_type(bytes_[0]);
        }

    private:
        ReadBytes read_;
        std::array<char, 65536> bytes_;
    };

    Buffer buffer_;
};

} // namespace daxfs
