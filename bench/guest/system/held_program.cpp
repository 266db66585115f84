// SPDX-License-Identifier: Apache-2.0
#include "held_program.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipe.hpp"
#include "process.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

struct Started {
    pid_t pid = -1;
    int listener = -1; // in the child's table of descriptors; -1 - errno where there is none
};

// In the child: every exit_group(2) and brk(2) of it and its children waits for an answer, and, if asked for,
// every write(2) to their descriptor 1.
int hold_exits(bool output)
{
    constexpr std::uint32_t none = ~0U;
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, output ? SYS_write : none, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{sizeof filter / sizeof *filter, filter};
    const auto fd =
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return fd < 0 ? -1 - errno : static_cast<int>(fd);
}

UniqueFd open_process(const Started &started)
{
    if (started.listener < 0) {
        errno = -1 - started.listener;
        throw_errno("cannot hold a program at its end by seccomp");
    }
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, started.pid, 0)));
    if (!process)
        throw_errno("cannot open a program that is held at its end");
    return process;
}

UniqueFd fetch_listener(const UniqueFd &process, const Started &started)
{
    UniqueFd listener(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), started.listener, 0)));
    if (!listener)
        throw_errno("cannot take over the descriptor of a program that is held at its end");
    return listener;
}

void reap(pid_t pid, HeldProgram &held)
{
    while (::wait4(pid, &held.status, 0, &held.usage) < 0 && errno == EINTR) {
    }
}

// The program under `held`, whose calls come by `listener`; `process` is its pidfd.
class Watch {
public:
    Watch(UniqueFd listener, UniqueFd process, pid_t pid, const std::function<void(pid_t)> &look,
          HeldProgram &held)
        : listener_(std::move(listener)), process_(std::move(process)), pid_(pid), look_(look), held_(held)
    {
    }

    // Until it has ended and nobody is left whose end would be held. Returns what `look` threw.
    std::exception_ptr run()
    {
        pollfd waiting[] = {{listener_.get(), POLLIN, 0}, {process_.get(), POLLIN, 0}};
        while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
            if (::poll(waiting, std::size(waiting), -1) < 0) {
                if (errno == EINTR)
                    continue;
                throw_errno("cannot wait for the end of a program");
            }
            if (waiting[0].revents & POLLIN) {
                answer();
            } else if (waiting[1].revents & POLLIN) {
                *part_ += since();
                reap(pid_, held_);
                waiting[1].fd = -1;
            } else if (waiting[0].revents) { // the last that it holds; before 6.11 only once it is reaped
                waiting[0].fd = -1;
            }
        }
        return failure_;
    }

    bool looked() const { return looked_; }

private:
    double since() const { return static_cast<double>(now_ns() - last_); }

    void answer()
    {
        seccomp_notif call{};
        if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
            return; // it was killed meanwhile
        if (held_.first_stop_ns == 0)
            held_.first_stop_ns = now_ns();
        const double passed = since();
        *part_ += passed;
        *step_ += passed;
        if (part_ == &held_.start_ns)
            part_ = &held_.run_ns;
        next_step(static_cast<pid_t>(call.pid), call.data.nr);
        if (static_cast<pid_t>(call.pid) == pid_ && call.data.nr == SYS_exit_group && !looked_)
            look();
        seccomp_notif_resp response{};
        response.id = call.id;
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        last_ = now_ns(); // before: it may run, and end, before this side goes on
        (void)::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
    }

    // What the program does after this call of it.
    void next_step(pid_t caller, int call)
    {
        const bool linking = step_ == &held_.link_ns;
        if (step_ == &ignored_ && calls_ == 0)
            step_ = &held_.link_ns;
        else if (linking && caller == pid_ && call == SYS_brk)
            step_ = &held_.output_ns;
        else if (call == SYS_write && step_ != &held_.rest_ns)
            step_ = &held_.rest_ns;
        else if (caller == pid_ && call == SYS_exit_group)
            step_ = &ignored_;
        ++calls_;
    }

    void look()
    {
        looked_ = true;
        part_ = &held_.end_ns;
        try {
            look_(pid_);
        } catch (...) {
            failure_ = std::current_exception();
        }
    }

    UniqueFd listener_;
    UniqueFd process_;
    pid_t pid_;
    const std::function<void(pid_t)> &look_;
    HeldProgram &held_;
    double *part_ = &held_.start_ns;
    double ignored_ = 0;
    double *step_ = &ignored_;
    int calls_ = 0;
    std::uint64_t last_ = now_ns();
    bool looked_ = false;
    std::exception_ptr failure_;
};

} // namespace

HeldProgram run_held(const std::function<void()> &become, const std::function<void(pid_t)> &look,
                     const HoldOptions &options)
{
    const Pipe started_pipe = make_pipe();
    Pipe go = make_pipe();
    pid_t child_pid = 0; // as this side knows it
    const auto child = [&] {
        const Started started{child_pid == 0 ? ::getpid() : child_pid, hold_exits(options.first_output)};
        char byte = 0;
        (void)!::write(started_pipe.write_end.get(), &started, sizeof started);
        ::close(go.write_end.get()); // the child's own: the other side's end is then the end of it
        if (::read(go.read_end.get(), &byte, 1) != 1)
            ::_exit(127);
        become();
        ::_exit(127);
    };
    // vfork(2) suspends its thread until the child has become the program, and this one must answer
    // meanwhile.
    std::thread starter([&] {
        pid_t pid = -1;
        if (options.clone_flags != 0) {
            pid = vfork_into(options.clone_flags, child, &child_pid);
        } else {
            pid = ::vfork();
            if (pid == 0)
                child();
        }
        if (pid < 0) {
            const Started failed{-1, -1 - errno};
            (void)!::write(started_pipe.write_end.get(), &failed, sizeof failed);
        }
    });
    Started started;
    std::exception_ptr failure;
    HeldProgram held;
    bool looked = false;
    bool ended = false;
    try {
        ssize_t got = 0;
        do
            got = ::read(started_pipe.read_end.get(), &started, sizeof started);
        while (got < 0 && errno == EINTR);
        if (got != sizeof started)
            throw_errno("cannot hear from a program that was started");
        UniqueFd process = open_process(started);
        UniqueFd listener = fetch_listener(process, started);
        (void)!::write(go.write_end.get(), "", 1);
        Watch watch(std::move(listener), std::move(process), started.pid, look, held);
        failure = watch.run();
        looked = watch.looked();
        ended = true;
    } catch (...) {
        failure = std::current_exception();
        if (started.pid > 0)
            ::kill(started.pid, SIGKILL);
    }
    go.write_end.reset(); // one that still waits for it ends
    starter.join();
    if (started.pid > 0 && !ended)
        reap(started.pid, held);
    if (failure)
        std::rethrow_exception(failure);
    if (!looked)
        throw std::runtime_error("expected a program to end by exit_group(2), it ended in another way");
    return held;
}

} // namespace daxbench
