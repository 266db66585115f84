// SPDX-License-Identifier: Apache-2.0
// measured REPORT OUTPUT PROGRAM [ARGUMENT…]: runs the program and writes to REPORT, as JSON, what it
// took, and what it then took to bring OUTPUT to the medium. A program of its own because a child's peak
// memory counts from fork(2) on: it is never below what the parent held, and this one holds little.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

std::int64_t nanoseconds(std::int64_t seconds, std::int64_t rest)
{
    return seconds * 1'000'000'000 + rest;
}

std::int64_t now()
{
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return nanoseconds(time.tv_sec, time.tv_nsec);
}

std::int64_t nanoseconds(const timeval &time)
{
    return nanoseconds(time.tv_sec, time.tv_usec * 1000);
}

int failed(const char *what)
{
    std::perror(what);
    return 125;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 4) {
        std::fprintf(stderr, "usage: measured REPORT OUTPUT PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    const std::int64_t start = now();
    const pid_t child = fork();
    if (child < 0)
        return failed("fork");
    if (child == 0) {
        execvp(argv[3], argv + 3);
        std::perror(argv[3]);
        _exit(127);
    }
    int status = 0;
    rusage used{};
    if (wait4(child, &status, 0, &used) != child)
        return failed("wait4");
    const std::int64_t wall = now() - start;
    if (WIFSIGNALED(status)) {
        std::fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
        return 126;
    }
    if (WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);

    const std::int64_t flush_start = now();
    const int output = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (output < 0 || fsync(output) != 0)
        return failed(argv[2]);
    const std::int64_t flush = now() - flush_start;
    std::FILE *report = std::fopen(argv[1], "w");
    if (report == nullptr)
        return failed(argv[1]);
    std::fprintf(report,
                 "{\"wall_ns\": %" PRId64 ", \"cpu_ns\": %" PRId64 ", \"flush_ns\": %" PRId64
                 ", \"peak_bytes\": %" PRId64 "}\n",
                 wall, nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime), flush,
                 std::int64_t{used.ru_maxrss} * 1024);
    return std::fclose(report) == 0 ? 0 : failed(argv[1]);
}
