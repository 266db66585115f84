// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <istream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "input.hpp"
#include "tar_reader.hpp"

namespace daxfs {

// Gives options and sources their files and standard input, and keeps them open.
class Inputs {
public:
    Inputs(std::istream &in, const std::atomic<bool> *stop) : in_(in), stop_(stop) {}

    ReadBytes bytes(const std::string &path)
    {
        if (path == "-") {
            take_standard_input();
            return [this](std::span<std::byte> to) {
                in_.read(reinterpret_cast<char *>(to.data()), static_cast<std::streamsize>(to.size()));
                if (in_.bad())
                    throw std::runtime_error("cannot read standard input");
                return static_cast<std::size_t>(in_.gcount());
            };
        }
        return bytes_of_file(open_input(path, stop_), path, stop_);
    }

    ArchiveInput archive(const std::string &path)
    {
        return path == "-" ? ArchiveInput(bytes(path)) : open_archive(path, stop_);
    }

    std::istream &text(const std::string &path)
    {
        if (path == "-") {
            take_standard_input();
            return in_;
        }
        return *files_.emplace_back(std::make_unique<InputStream>(bytes(path)));
    }

private:
    void take_standard_input()
    {
        if (std::exchange(taken_, true))
            throw CLI::ValidationError("expected standard input (-) once, got it twice");
    }

    std::istream &in_;
    const std::atomic<bool> *stop_;
    bool taken_ = false;
    std::vector<std::unique_ptr<InputStream>> files_;
};

} // namespace daxfs
