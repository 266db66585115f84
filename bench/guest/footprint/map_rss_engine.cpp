// SPDX-License-Identifier: Apache-2.0
// A process that maps a whole file and touches every page: what smaps says of the mapping, and
// what its frames really are.
#include <cstdio>
#include <map>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "frames.hpp"
#include "io.hpp"
#include "selection.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;

// Field → bytes of the mapping that starts at ADDRESS.
std::map<std::string, std::uint64_t> smaps_entry(std::uintptr_t address)
{
    std::istringstream text(read_file("/proc/self/smaps"));
    const std::string head = fmt::format("{:08x}-", address);
    std::map<std::string, std::uint64_t> fields;
    std::string line;
    bool inside = false;
    while (std::getline(text, line)) {
        const auto blank = line.find(' ');
        const auto colon = line.find(':');
        const bool is_field = colon != std::string::npos && colon < blank;
        if (!is_field) {
            inside = line.starts_with(head);
            continue;
        }
        unsigned long long kib = 0;
        if (inside && std::sscanf(line.c_str() + colon + 1, "%llu kB", &kib) == 1)
            fields[line.substr(0, colon)] = kib * 1024;
    }
    if (fields.empty())
        throw std::runtime_error("expected the mapping's entry in smaps, it has none");
    return fields;
}

// In the child: maps, touches, counts.
json measure_here(const SelectedFile &file, int flags, const std::vector<PhysicalRange> &pmem)
{
    const UniqueFd fd = open_file(file.path, O_RDONLY);
    void *const map = ::mmap(nullptr, file.size, PROT_READ, flags, fd.get(), 0);
    if (map == MAP_FAILED)
        throw_errno("cannot map " + file.path);
    const auto *bytes = static_cast<const volatile char *>(map);
    for (std::size_t at = 0; at < file.size; at += page_size)
        (void)bytes[at];
    const auto start = reinterpret_cast<std::uintptr_t>(map);
    const std::size_t size = (file.size + page_size - 1) / page_size * page_size;
    auto smaps = smaps_entry(start);
    const Frames frames = count_frames(::getpid(), pmem, start, start + size);
    return {{"rss_bytes", smaps["Rss"]},
            {"pss_bytes", smaps["Pss"]},
            {"shared_bytes", smaps["Shared_Clean"] + smaps["Shared_Dirty"]},
            {"private_bytes", smaps["Private_Clean"] + smaps["Private_Dirty"]},
            {"anonymous_bytes", smaps["Anonymous"]},
            {"mapped_bytes", size},
            {"frames_pmem_bytes", frames.pmem},
            {"frames_page_cache_bytes", frames.page_cache},
            {"frames_anonymous_bytes", frames.anonymous},
            {"frames_other_bytes", frames.other + frames.zero}};
}

// A process of its own for each measurement, so that nothing of the last one is left mapped.
json measure_in_child(const SelectedFile &file, int flags, const std::vector<PhysicalRange> &pmem)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        throw_errno("cannot make a pipe");
    UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0)
        throw_errno("cannot fork");
    if (pid == 0) {
        json answer;
        try {
            answer = measure_here(file, flags, pmem);
        } catch (const std::exception &error) {
            answer = {{"error", error.what()}};
        }
        write_all(write_end.get(), to_line(answer));
        ::_exit(0);
    }
    write_end.reset();
    const std::string text = read_file(fmt::format("/proc/self/fd/{}", read_end.get()));
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0)
        throw std::runtime_error(fmt::format("expected a process that touches all of {}, it ended "
                                             "with wait status {:#x}",
                                             file.path, status));
    json answer = parse_line(trim(text));
    if (answer.contains("error"))
        throw std::runtime_error(answer.at("error").get<std::string>());
    return answer;
}

} // namespace

json run_map_rss_engine(const RunRequest &request)
{
    const SelectedFile file = select_files(request.target, request.workload)[0];
    const auto pmem = pmem_ranges(request.workload);
    const int repetitions = request.workload.value("repetitions", 1);
    json results = json::array();
    for (const std::string variant : request.workload.value("variants", json::array({"shared"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "map-rss"), variant));
        const int flags = variant == "private" ? MAP_PRIVATE : MAP_SHARED;
        json extra = json::object();
        for (int repetition = 0; repetition < repetitions; ++repetition) {
            const json measured = measure_in_child(file, flags, pmem);
            for (const auto &[metric, bytes] : measured.items()) {
                extra[metric]["unit"] = "bytes";
                extra[metric]["samples"].push_back(bytes);
            }
        }
        json samples = extra.at("rss_bytes").at("samples");
        extra.erase("rss_bytes");
        results.push_back({{"variant", variant},
                           {"cache", ""},
                           {"metric", "rss_bytes"},
                           {"per", ""},
                           {"unit", "bytes"},
                           {"samples", samples},
                           {"operations", (file.size + page_size - 1) / page_size},
                           {"counters", json::object()},
                           {"extra", extra}});
    }
    return {{"results", results}, {"raw", json::object()}};
}

} // namespace daxbench
