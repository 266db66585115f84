// SPDX-License-Identifier: Apache-2.0
// Child of process.hpp: between fork and exec, and after.
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "error.hpp"
#include "process.hpp"

extern char **environ;

namespace daxbench {

using Clock = std::chrono::steady_clock;

namespace {

struct Environment {
    std::vector<std::string> text;
    std::vector<char *> pointers;
};

Environment make_environment(const std::map<std::string, std::string> &extra)
{
    Environment result;
    for (char **entry = environ; *entry; ++entry) {
        const std::string_view line(*entry);
        if (!extra.contains(std::string(line.substr(0, line.find('=')))))
            result.text.emplace_back(line);
    }
    for (const auto &[name, value] : extra)
        result.text.push_back(name + "=" + value);
    for (auto &line : result.text)
        result.pointers.push_back(line.data());
    result.pointers.push_back(nullptr);
    return result;
}

// What the child needs between fork and exec, made before: nothing there may allocate.
struct ChildPlan {
    const char *program;
    char **argv;
    char **env;
    const char *cwd; // nullptr: stay
    std::array<int, 3> stdio;
    const int *keep;
    std::size_t keep_count;
    pid_t parent;
    bool outlive_parent;
    int error_pipe;
};

[[noreturn]] void run_child(const ChildPlan &plan)
{
    setpgid(0, 0);
    if (!plan.outlive_parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != plan.parent)
            _exit(127);
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
        signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    bool ok = plan.cwd == nullptr || chdir(plan.cwd) == 0;
    for (int i = 0; ok && i < 3; ++i)
        ok = dup2(plan.stdio[static_cast<std::size_t>(i)], i) >= 0;
    for (std::size_t i = 0; ok && i < plan.keep_count; ++i)
        ok = fcntl(plan.keep[i], F_SETFD, 0) == 0;
    if (ok)
        execve(plan.program, plan.argv, plan.env);
    const int error = errno;
    [[maybe_unused]] const auto n = write(plan.error_pipe, &error, sizeof error);
    _exit(127);
}

// A descriptor above 2, so that dup2 in the child overwrites nothing it still needs.
Fd above_stdio(int fd)
{
    return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

} // namespace

Child Child::start(const Argv &argv, const Streams &streams, const CommandOptions &options,
                   bool outlive_parent)
{
    if (argv.empty())
        throw std::runtime_error("expected to run a program, got an empty command");
    const auto program = find_program(argv[0]);
    if (!program)
        throw std::runtime_error(
            fmt::format("expected to run {}, but there is no such program here: install it (the "
                        "list is setup/packages.txt)",
                        argv[0]));
    auto environment = make_environment(options.env);
    std::vector<char *> words;
    for (const auto &word : argv)
        words.push_back(const_cast<char *>(word.c_str()));
    words.push_back(nullptr);

    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    std::array<Fd, 3> stdio;
    const std::array<int, 3> wanted{streams.in, streams.out, streams.err};
    for (std::size_t i = 0; i < 3; ++i)
        stdio[i] = above_stdio(wanted[i] >= 0 ? wanted[i] : null.get());
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        throw daxfs::system_failure(errno, "pipe2");
    Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    const ChildPlan plan{program->c_str(),
                         words.data(),
                         environment.pointers.data(),
                         options.cwd.empty() ? nullptr : options.cwd.c_str(),
                         {stdio[0].get(), stdio[1].get(), stdio[2].get()},
                         streams.keep.data(),
                         streams.keep.size(),
                         getpid(),
                         outlive_parent,
                         write_end.get()};
    const pid_t pid = fork();
    if (pid < 0)
        throw daxfs::system_failure(errno, "fork");
    if (pid == 0)
        run_child(plan);
    setpgid(pid, pid);
    Child child;
    child.pid_ = pid;
    child.ended_ = false;
    write_end.reset();
    int error = 0;
    ssize_t got = 0;
    do
        got = read(read_end.get(), &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got == sizeof error)
        throw std::runtime_error(
            fmt::format("expected to run {}, got: {}", quoted(argv), std::strerror(error)));
    return child;
}

Child::Child(Child &&other) noexcept
{
    *this = std::move(other);
}

Child &Child::operator=(Child &&other) noexcept
{
    if (this == &other)
        return *this;
    kill();
    pid_ = std::exchange(other.pid_, -1);
    status_ = other.status_;
    ended_ = std::exchange(other.ended_, true);
    return *this;
}

Child::~Child()
{
    kill();
}

bool Child::running()
{
    if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_)
        ended_ = true;
    return !ended_;
}

bool Child::wait(Deadline deadline)
{
    const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    while (running()) {
        throw_if_interrupted();
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0)
            return false;
        pollfd fds[2] = {{pidfd.get(), POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
        poll(fds, 2, static_cast<int>(std::min<long long>(left + 1, pidfd ? 60000 : 20)));
    }
    return true;
}

void Child::kill()
{
    if (pid_ <= 0 || ended_)
        return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
}

void Child::detach()
{
    ended_ = true;
}

} // namespace daxbench
