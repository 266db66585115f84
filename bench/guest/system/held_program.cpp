// SPDX-License-Identifier: Apache-2.0
#include "held_program.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipe.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

struct Started {
    pid_t pid = -1;
    int listener = -1; // in the child's table of descriptors; -1 - errno where there is none
};

// In the child: every exit_group(2) and brk(2) of it and its children waits for an answer.
int hold_exits()
{
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{sizeof filter / sizeof *filter, filter};
    const auto fd =
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return fd < 0 ? -1 - errno : static_cast<int>(fd);
}

UniqueFd fetch_listener(const Started &started)
{
    if (started.listener < 0) {
        errno = -1 - started.listener;
        throw_errno("cannot hold a program at its end by seccomp");
    }
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, started.pid, 0)));
    UniqueFd listener(
        process ? static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), started.listener, 0)) : -1);
    if (!listener)
        throw_errno("cannot take over the descriptor of a program that is held at its end");
    return listener;
}

// Until nobody is left whose end would be held. Adds up what the program takes between the answers.
bool answer_ends(int listener, pid_t program, const std::function<void(pid_t)> &look, HeldProgram &held,
                 std::exception_ptr &failure)
{
    bool looked = false;
    auto last = now_ns();
    double *part = &held.start_ns;
    for (;;) {
        pollfd waiting{listener, POLLIN, 0};
        if (::poll(&waiting, 1, -1) < 0) {
            if (errno == EINTR)
                continue;
            throw_errno("cannot wait for the end of a program");
        }
        if (!(waiting.revents & POLLIN)) {
            *part += static_cast<double>(now_ns() - last);
            return looked;
        }
        seccomp_notif call{};
        if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
            continue; // it was killed meanwhile
        *part += static_cast<double>(now_ns() - last);
        if (part == &held.start_ns)
            part = &held.run_ns;
        if (static_cast<pid_t>(call.pid) == program && call.data.nr == SYS_exit_group && !looked) {
            looked = true;
            part = &held.end_ns;
            try {
                look(program);
            } catch (...) {
                failure = std::current_exception();
            }
        }
        seccomp_notif_resp answer{};
        answer.id = call.id;
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        last = now_ns();
        (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

} // namespace

HeldProgram run_held(const std::function<void()> &become, const std::function<void(pid_t)> &look)
{
    const Pipe started_pipe = make_pipe();
    Pipe go = make_pipe();
    // vfork(2) suspends its thread until the child has become the program, and this one must answer
    // meanwhile.
    std::thread starter([&] {
        const pid_t pid = ::vfork();
        if (pid == 0) {
            const Started started{::getpid(), hold_exits()};
            char byte = 0;
            (void)!::write(started_pipe.write_end.get(), &started, sizeof started);
            ::close(go.write_end.get()); // the child's own: the other side's end is then the end of it
            if (::read(go.read_end.get(), &byte, 1) != 1)
                ::_exit(127);
            become();
            ::_exit(127);
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
    try {
        ssize_t got = 0;
        do
            got = ::read(started_pipe.read_end.get(), &started, sizeof started);
        while (got < 0 && errno == EINTR);
        if (got != sizeof started)
            throw_errno("cannot hear from a program that was started");
        const auto listener = fetch_listener(started);
        (void)!::write(go.write_end.get(), "", 1);
        looked = answer_ends(listener.get(), started.pid, look, held, failure);
    } catch (...) {
        failure = std::current_exception();
        if (started.pid > 0)
            ::kill(started.pid, SIGKILL);
    }
    go.write_end.reset(); // one that still waits for it ends
    starter.join();
    while (started.pid > 0 && ::wait4(started.pid, &held.status, 0, &held.usage) < 0 && errno == EINTR) {
    }
    if (failure)
        std::rethrow_exception(failure);
    if (!looked)
        throw std::runtime_error("expected a program to end by exit_group(2), it ended in another way");
    return held;
}

} // namespace daxbench
