// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "error.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::optional<fs::path> find_program(std::string_view name)
{
    if (name.find('/') != std::string_view::npos)
        return access(std::string(name).c_str(), X_OK) == 0 ? std::optional<fs::path>(name) : std::nullopt;
    const char *path = std::getenv("PATH");
    // Debian keeps depmod and others out of a user's PATH.
    const std::string all = std::string(path ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin";
    for (std::size_t from = 0; from <= all.size();) {
        const auto to = std::min(all.find(':', from), all.size());
        const fs::path candidate = fs::path(all.substr(from, to - from)) / name;
        struct stat info = {};
        if (stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
            access(candidate.c_str(), X_OK) == 0)
            return candidate;
        from = to + 1;
    }
    return std::nullopt;
}

std::string quoted(const Argv &argv)
{
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_-+=./,:@%";
    std::string out;
    for (const auto &word : argv) {
        if (!out.empty())
            out += ' ';
        if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
            out += word;
            continue;
        }
        out += '\'';
        for (const char c : word)
            out += c == '\'' ? std::string("'\\''") : std::string(1, c);
        out += '\'';
    }
    return out;
}

bool running_as_root()
{
    return geteuid() == 0;
}

std::string describe_wait_status(int status)
{
    if (WIFSIGNALED(status))
        return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return fmt::format("exit status {}", WEXITSTATUS(status));
}

namespace {

Fd text_as_file(const std::string &text)
{
    Fd fd(memfd_create("stdin", MFD_CLOEXEC));
    for (std::size_t done = 0; done < text.size();) {
        const auto n = write(fd.get(), text.data() + done, text.size() - done);
        if (n <= 0)
            throw daxfs::system_failure(errno, "writing a program's input");
        done += static_cast<std::size_t>(n);
    }
    lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

struct Pipe {
    Fd read;
    Fd write;
};

Pipe make_pipe()
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        throw daxfs::system_failure(errno, "pipe2");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return {Fd(ends[0]), Fd(ends[1])};
}

// Reads what is there; false at the end of file.
bool drain(int fd, std::string &into)
{
    char buffer[65536];
    for (;;) {
        const auto n = read(fd, buffer, sizeof buffer);
        if (n > 0)
            into.append(buffer, static_cast<std::size_t>(n));
        else if (n == 0)
            return false;
        else if (errno != EINTR)
            return errno == EAGAIN;
    }
}

// Collects output until the program has ended; false when the deadline passed first.
bool collect(Child &child, Fd &out, Fd &err, CommandResult &result, std::optional<Deadline> deadline)
{
    const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child.pid(), 0)));
    for (;;) {
        throw_if_interrupted();
        const bool ended = !child.running();
        if (out && !drain(out.get(), result.out))
            out.reset();
        if (err && !drain(err.get(), result.err))
            err.reset();
        if (ended)
            return true;
        int wait_ms = pidfd ? 60000 : 50;
        if (deadline) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - Clock::now()).count();
            if (left <= 0)
                return false;
            wait_ms = static_cast<int>(std::min<long long>(wait_ms, left + 1));
        }
        pollfd fds[4] = {{out.get(), POLLIN, 0},
                         {err.get(), POLLIN, 0},
                         {interrupt_fd(), POLLIN, 0},
                         {pidfd.get(), POLLIN, 0}};
        poll(fds, 4, wait_ms); // negative descriptors are ignored
    }
}

void append_log(const fs::path &log, const Argv &argv, const CommandResult &result)
{
    if (log.empty())
        return;
    fs::create_directories(log.parent_path());
    std::ofstream file(log, std::ios::app);
    file << "$ " << quoted(argv) << '\n' << result.out << result.err;
    file << fmt::format("# {} after {:.2f} s\n",
                        result.signal ? fmt::format("signal {}", result.signal)
                                      : fmt::format("exit status {}", result.status),
                        result.seconds);
}

std::string last_line(std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.remove_suffix(1);
    const auto at = text.rfind('\n');
    return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

} // namespace

CommandResult run_command(const Argv &argv, const CommandOptions &options)
{
    throw_if_interrupted();
    CommandResult result;
    auto out = make_pipe();
    auto err = make_pipe();
    const Fd in = options.stdin_text.empty() ? Fd() : text_as_file(options.stdin_text);
    const auto begin = Clock::now();
    auto child = Child::start(argv, {in.get(), out.write.get(), err.write.get(), {}}, options);
    out.write.reset();
    err.write.reset();
    std::optional<Deadline> deadline;
    if (options.timeout.count() > 0)
        deadline = begin + std::chrono::duration_cast<Clock::duration>(options.timeout);
    result.timed_out = !collect(child, out.read, err.read, result, deadline);
    child.kill();
    result.seconds = Seconds(Clock::now() - begin).count();
    const int status = child.wait_status();
    if (WIFSIGNALED(status))
        result.signal = WTERMSIG(status);
    else
        result.status = WEXITSTATUS(status);
    append_log(options.log, argv, result);
    return result;
}

constexpr std::size_t longest_command = 120; // in a message; the log has all of it

CommandResult run_checked(const Argv &argv, const CommandOptions &options)
{
    auto result = run_command(argv, options);
    if (result.ok())
        return result;
    std::string what = fmt::format("exit status {}", result.status);
    if (result.timed_out)
        what = fmt::format("no end within {:.0f} s", options.timeout.count());
    else if (result.signal)
        what = fmt::format("killed by signal {} ({})", result.signal, strsignal(result.signal));
    auto said = last_line(result.err);
    if (said.empty())
        said = last_line(result.out);
    auto command = quoted(argv);
    if (command.size() > longest_command)
        command = command.substr(0, longest_command) + "…";
    auto line = fmt::format("expected `{}` to succeed, got {}", command, what);
    if (!said.empty())
        line += ": " + said;
    if (!options.log.empty())
        line += fmt::format("; see {}", options.log.string());
    throw std::runtime_error(line);
}

} // namespace daxbench
