// SPDX-License-Identifier: Apache-2.0
#include "worker.hpp"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "mounts.hpp"
#include "pipe.hpp"

namespace daxbench {

namespace {

struct Ends {
    Pipe orders = make_pipe();
    Pipe answers = make_pipe();
};

// Makes what a fork shares with its parent the process's own, so that no copy of a page falls into what is
// timed.
void own_memory()
{
    constexpr std::uintptr_t page = 4096;
    for (const std::string &line : split(read_file("/proc/self/maps"), '\n')) {
        unsigned long start = 0;
        unsigned long end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx rw-p", &start, &end) != 2 ||
            line.find(" rw-p ") == std::string::npos || line.find("[v") != std::string::npos)
            continue;
        for (std::uintptr_t at = start; at < end; at += page) {
            auto *const byte = reinterpret_cast<volatile char *>(at);
            *byte = *byte;
        }
    }
}

// Lines come in by 0 and go out by 1. Nothing else is kept: the agent's ends of other workers' orders would
// keep those from seeing that there are no more.
[[noreturn]] void serve(const std::function<Task()> &make)
{
    ::close_range(3, ~0U, 0);
    try {
        const Task task = make();
        own_memory();
        write_all(1, "ready\n");
        char byte = 0;
        while (::read(0, &byte, 1) == 1)
            write_all(1, task() + "\n");
        ::_exit(0);
    } catch (const std::exception &error) {
        write_all(1, fmt::format("error: {}\n", error.what()));
        ::_exit(1);
    }
}

} // namespace

Worker Worker::program(const std::function<void()> &become)
{
    Ends ends;
    Worker worker;
    worker.pid_ = ::fork();
    if (worker.pid_ < 0)
        throw_errno("cannot fork");
    if (worker.pid_ == 0) {
        ::dup2(ends.orders.read_end.get(), 0);
        ::dup2(ends.answers.write_end.get(), 1);
        become();
        ::_exit(127);
    }
    worker.orders_ = std::move(ends.orders.write_end);
    worker.answers_ = std::move(ends.answers.read_end);
    return worker;
}

Worker Worker::task(const std::function<Task()> &make)
{
    return program([&] { serve(make); });
}

Worker::Worker(Worker &&other) noexcept
    : pid_(std::exchange(other.pid_, -1)), orders_(std::move(other.orders_)),
      answers_(std::move(other.answers_)), buffered_(std::move(other.buffered_))
{
}

Worker::~Worker()
{
    if (pid_ < 0)
        return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void Worker::go()
{
    write_all(orders_.get(), "\n");
}

std::string Worker::line()
{
    for (;;) {
        if (const auto end = buffered_.find('\n'); end != std::string::npos) {
            const std::string text = buffered_.substr(0, end);
            buffered_.erase(0, end + 1);
            if (text.starts_with("error: "))
                throw std::runtime_error(text.substr(7));
            return text;
        }
        char piece[512];
        const ssize_t got = ::read(answers_.get(), piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            throw std::runtime_error(
                "expected a line from a process that computes, it ended: what it printed is in console.log");
        buffered_.append(piece, static_cast<std::size_t>(got));
    }
}

void Worker::finish()
{
    orders_.reset();
    int status = 0;
    const pid_t ended = ::waitpid(std::exchange(pid_, -1), &status, 0);
    if (ended < 0)
        throw_errno("cannot wait for a process that computes");
    if (status != 0)
        throw std::runtime_error(fmt::format(
            "expected a process that computes to end with status 0, got wait status {:#x}", status));
}

} // namespace daxbench
