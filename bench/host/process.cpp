// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cache.hpp"

extern char **environ;

namespace daxbench {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

[[noreturn]] void throw_errno(const std::string &what)
{
    throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

std::atomic<bool> interrupt_flag{false};

int interrupt_event()
{
    static const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd;
}

void on_signal(int)
{
    // timeout(1) sends its signal twice, to the program and to its group: only a later second one is
    // a person who does not want to wait.
    static std::atomic<std::time_t> first{0};
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupt_flag.load() && now.tv_sec > first.load() + 1)
        _exit(130); // children die by their parent-death signal
    if (!interrupt_flag.load())
        first = now.tv_sec;
    const int saved = errno;
    request_interrupt();
    errno = saved;
}

} // namespace

void request_interrupt()
{
    interrupt_flag.store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = write(interrupt_event(), &one, sizeof one);
}

bool interrupted()
{
    return interrupt_flag.load();
}

void throw_if_interrupted()
{
    if (interrupted())
        throw Interrupted();
}

int interrupt_fd()
{
    return interrupt_event();
}

void install_signal_handlers()
{
    interrupt_event();
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        sigaction(number, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

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
        throw std::runtime_error("wanted to run a program, got an empty command");
    const auto program = find_program(argv[0]);
    if (!program)
        throw std::runtime_error(
            fmt::format("wanted to run {}, but there is no such program here: install it (the "
                        "list is tools/packages.txt)",
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
        throw_errno("pipe2");
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
        throw_errno("fork");
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
            fmt::format("wanted to run {}, got: {}", quoted(argv), std::strerror(error)));
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

namespace {

Fd text_as_file(const std::string &text)
{
    Fd fd(memfd_create("stdin", MFD_CLOEXEC));
    for (std::size_t done = 0; done < text.size();) {
        const auto n = write(fd.get(), text.data() + done, text.size() - done);
        if (n <= 0)
            throw_errno("writing a program's input");
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
        throw_errno("pipe2");
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
    auto line = fmt::format("wanted `{}` to succeed, got {}", command, what);
    if (!said.empty())
        line += ": " + said;
    if (!options.log.empty())
        line += fmt::format("; see {}", options.log.string());
    throw std::runtime_error(line);
}

namespace {

fs::path make_temp_dir(fs::path parent)
{
    auto pattern = (parent / "daxbench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
        throw_errno("making a folder in " + parent.string());
    return pattern;
}

fs::path short_temp_parent()
{
    const char *wanted = std::getenv("TMPDIR");
    // Unix sockets live below; their path may have 107 bytes.
    if (wanted && *wanted && std::strlen(wanted) < 60 && access(wanted, W_OK) == 0)
        return wanted;
    return "/tmp";
}

} // namespace

TempDir::TempDir() : path_(make_temp_dir(short_temp_parent())) {}
TempDir::TempDir(const fs::path &parent) : path_(make_temp_dir(parent)) {}
TempDir::TempDir(TempDir &&other) noexcept : path_(other.release()) {}

TempDir &TempDir::operator=(TempDir &&other) noexcept
{
    std::swap(path_, other.path_);
    return *this;
}

TempDir::~TempDir()
{
    if (path_.empty())
        return;
    try {
        remove_tree(path_);
    } catch (const std::exception &) {
        // Nothing better can be done from a destructor; the folder is in a temporary place.
    }
}

fs::path TempDir::release()
{
    return std::exchange(path_, fs::path());
}

} // namespace daxbench
