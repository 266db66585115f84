// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.hpp"
#include "pipe.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

// In the child; only calls that are safe after fork. Reports errno through the error pipe.
[[noreturn]] void become(const ProcessSpec &spec, char *const *argv, char *const *env, int in, int out,
                         int err, int error_pipe)
{
    ::setpgid(0, 0);
    const sched_param priority{.sched_priority = 1};
    if (spec.uninterrupted)
        ::sched_setscheduler(0, SCHED_FIFO, &priority);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    const bool rooted = spec.chroot.empty() || (::chroot(spec.chroot.c_str()) == 0 && ::chdir("/") == 0);
    if (rooted)
        ::execve(argv[0], argv, env);
    const int error = errno;
    (void)!::write(error_pipe, &error, sizeof error);
    ::_exit(127);
}

void set_nonblocking(int fd)
{
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Returns false when the other side has closed.
bool drain(int fd, std::string &text)
{
    char buffer[65536];
    for (;;) {
        const ssize_t got = ::read(fd, buffer, sizeof buffer);
        if (got > 0)
            text.append(buffer, static_cast<std::size_t>(got));
        else if (got == 0)
            return false;
        else if (errno != EINTR)
            return errno == EAGAIN;
    }
}

// Feeds stdin and collects output until both outputs are closed or the deadline passes.
bool exchange(UniqueFd &in, UniqueFd &out, UniqueFd &err, const ProcessSpec &spec, ProcessResult &result)
{
    std::string_view to_write = spec.stdin_text;
    const std::uint64_t deadline = now_ns() + static_cast<std::uint64_t>(spec.timeout_s * 1e9);
    while (out || err) {
        if (to_write.empty())
            in.reset();
        std::array<pollfd, 3> fds{{{out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}, {in.get(), POLLOUT, 0}}};
        const std::uint64_t now = now_ns();
        if (now >= deadline)
            return false;
        ::poll(fds.data(), fds.size(), static_cast<int>((deadline - now) / 1'000'000 + 1));
        if (fds[0].revents && !drain(out.get(), result.out))
            out.reset();
        if (fds[1].revents && !drain(err.get(), result.err))
            err.reset();
        if (fds[2].revents) {
            const ssize_t done = ::write(in.get(), to_write.data(), to_write.size());
            if (done >= 0)
                to_write.remove_prefix(static_cast<std::size_t>(done));
            else if (errno != EAGAIN && errno != EINTR)
                in.reset(); // it reads no further
        }
    }
    return true;
}

constexpr std::size_t stack_bytes = 64 << 10;

int run_body(void *argument)
{
    (*static_cast<const std::function<void()> *>(argument))();
    ::_exit(127);
}

} // namespace

pid_t vfork_into(int flags, const std::function<void()> &body, pid_t *tid)
{
    void *const stack = ::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_POPULATE, -1, 0);
    if (stack == MAP_FAILED)
        return -1;
    pid_t unused = 0;
    const pid_t pid = ::clone(run_body, static_cast<char *>(stack) + stack_bytes,
                              CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD | flags,
                              const_cast<std::function<void()> *>(&body), tid == nullptr ? &unused : tid);
    const int error = errno;
    ::munmap(stack, stack_bytes);
    errno = error;
    return pid;
}

std::vector<char *> c_array(const std::vector<std::string> &strings)
{
    std::vector<char *> array;
    for (const std::string &text : strings)
        array.push_back(const_cast<char *>(text.c_str())); // execve's old signature
    array.push_back(nullptr);
    return array;
}

ProcessResult run_process(const ProcessSpec &spec)
{
    if (spec.argv.empty())
        throw std::runtime_error("expected a program to run, got an empty argv");
    Pipe in = make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    Pipe failure = make_pipe();
    const auto argv = c_array(spec.argv);
    const auto env = c_array(spec.env);
    const pid_t pid = ::fork();
    if (pid < 0)
        throw_errno("cannot fork for " + spec.argv[0]);
    if (pid == 0)
        become(spec, argv.data(), env.data(), in.read_end.get(), out.write_end.get(), err.write_end.get(),
               failure.write_end.get());
    in.read_end.reset();
    out.write_end.reset();
    err.write_end.reset();
    failure.write_end.reset();
    int error = 0;
    if (::read(failure.read_end.get(), &error, sizeof error) == sizeof error) {
        ::waitpid(pid, nullptr, 0);
        errno = error;
        throw_errno("cannot run " + spec.argv[0] +
                    (spec.chroot.empty() ? "" : " in a chroot on " + spec.chroot));
    }
    for (const UniqueFd *fd : {&in.write_end, &out.read_end, &err.read_end})
        set_nonblocking(fd->get());
    ProcessResult result;
    result.timed_out = !exchange(in.write_end, out.read_end, err.read_end, spec, result);
    if (result.timed_out)
        ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result.status = result.signal ? 128 + result.signal : WEXITSTATUS(status);
    return result;
}

void reap_orphans()
{
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

std::vector<std::string> default_env()
{
    return {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/",
            "LC_ALL=C",
            "TERM=dumb",
            "PYTHONHASHSEED=0",
            "PERL_HASH_SEED=0"};
}

std::vector<std::string> program_environment(const json &workload)
{
    if (!workload.contains("env"))
        return default_env();
    std::vector<std::string> env;
    for (const auto &[name, value] : workload.at("env").items())
        env.push_back(name + "=" + value.get<std::string>());
    return env;
}

} // namespace daxbench
