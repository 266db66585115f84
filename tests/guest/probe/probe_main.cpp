// SPDX-License-Identifier: Apache-2.0
// The program that runs inside the guests: GoogleTests, and small jobs they start it for.
#include "probe.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe_jobs.hpp"

namespace probe {

using daxbench::UniqueFd;

UniqueFd open_read(const std::string &path)
{
    return daxbench::open_file(path, O_RDONLY);
}

Mapping::Mapping(const std::string &path, int protection, int flags)
{
    const UniqueFd fd = open_read(path);
    struct stat info;
    if (fstat(fd.get(), &info) < 0)
        daxbench::throw_errno(path);
    size_ = static_cast<std::size_t>(info.st_size);
    void *map = mmap(nullptr, size_, protection, flags, fd.get(), 0);
    if (map == MAP_FAILED)
        daxbench::throw_errno("cannot map " + path);
    data_ = static_cast<char *>(map);
}

Mapping::~Mapping()
{
    munmap(data_, size_);
}

int in_child(const std::function<int()> &body)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

std::uint64_t frame_at(const void *address)
{
    const UniqueFd fd = open_read("/proc/self/pagemap");
    std::uint64_t entry = 0;
    const auto page = reinterpret_cast<std::uintptr_t>(address) / 4096;
    if (pread(fd.get(), &entry, sizeof entry, static_cast<off_t>(page * sizeof entry)) != sizeof entry)
        daxbench::throw_errno("cannot read pagemap");
    return entry >> 63 ? entry & ((std::uint64_t{1} << 55) - 1) : 0;
}

std::uint32_t page_number(const char *page)
{
    std::uint32_t number;
    std::memcpy(&number, page, sizeof number);
    return number;
}

namespace {

int print_capabilities()
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("CapEff:"))
            std::puts(line.c_str());
    return 0;
}

} // namespace

} // namespace probe

int main(int argc, char **argv)
{
    const std::string job = argc > 1 ? argv[1] : "";
    if (job == "capabilities")
        return probe::print_capabilities();
    if (job == "sleep")
        return static_cast<int>(sleep(60));
    if (job == "abort")
        std::abort();
    if (job == "access")
        return probe::access_job({argv + 2, argv + argc});
    if (job == "churn")
        return probe::churn_job(std::stoi(argv[2]));
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
