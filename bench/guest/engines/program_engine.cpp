// SPDX-License-Identifier: Apache-2.0
// Programs of the mounted tree, started in a chroot on it: the time from vfork to the end, their
// faults, and the frames they had mapped when they ended.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cold.hpp"
#include "engines.hpp"
#include "frames.hpp"
#include "held_program.hpp"
#include "io.hpp"
#include "mark.hpp"
#include "operations.hpp"
#include "process.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

struct Program {
    std::string root;
    std::vector<std::string> argv_text;
    std::vector<std::string> env_text;
    std::vector<char *> argv;
    std::vector<char *> env;
    UniqueFd null;
};

struct Run {
    double ns = 0;
    rusage usage{};
};

Program make_program(const RunRequest &request)
{
    Program program;
    program.root = request.target;
    program.argv_text = request.workload.at("argv").get<std::vector<std::string>>();
    program.env_text = program_environment(request.workload);
    program.argv = c_array(program.argv_text);
    program.env = c_array(program.env_text);
    program.null = open_file("/dev/null", O_RDWR);
    return program;
}

// In the child.
[[noreturn]] void become(const Program &program)
{
    ::dup2(program.null.get(), 0);
    ::dup2(program.null.get(), 1);
    ::dup2(program.null.get(), 2);
    if (::chroot(program.root.c_str()) == 0 && ::chdir("/") == 0)
        ::execve(program.argv[0], program.argv.data(), program.env.data());
    ::_exit(127);
}

void check_status(const Program &program, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    throw std::runtime_error(fmt::format("expected {} to end with status 0, it ended with {} {}",
                                         program.argv_text[0], WIFSIGNALED(status) ? "signal" : "status",
                                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
}

// vfork, because the cost of fork depends on how much memory the agent happens to have.
template <bool marked = false> Run run_timed(const Program &program)
{
    const Uninterrupted guard; // the program inherits it
    Run run;
    int status = 0;
    const std::uint64_t start = now_ns();
    if constexpr (marked)
        mark_begin();
    const pid_t pid = ::vfork();
    if (pid == 0)
        become(program);
    const pid_t ended = ::wait4(pid, &status, 0, &run.usage);
    if constexpr (marked)
        mark_end();
    const std::uint64_t end = now_ns();
    if (pid < 0 || ended != pid)
        throw_errno("cannot run " + program.argv_text[0]);
    check_status(program, status);
    run.ns = static_cast<double>(end - start);
    return run;
}

json marked_run(const Program &program)
{
    const Run run = run_timed<true>(program);
    return {{"section", next_section()}, {"ns", run.ns}, {"units", 1}};
}

// That it prints what it should; "expect" is compared without blanks at the ends.
void check_output(const Program &program, const json &workload)
{
    const ProcessResult result = run_process({program.argv_text, program.env_text, program.root, "", 300});
    const std::string out(trim(result.out));
    if (result.status != 0 || out.empty())
        throw std::runtime_error(fmt::format(
            "expected {} to print something and end with status 0, got status {}: {}", program.argv_text[0],
            result.status, percent_encode(trim(result.err + result.out).substr(0, 300))));
    const std::string expected(trim(workload.value("expect", out)));
    if (out != expected)
        throw std::runtime_error(fmt::format("expected {} to print '{}', it printed '{}'",
                                             program.argv_text[0], expected,
                                             percent_encode(out.substr(0, 200))));
}

double faults_of(const rusage &usage)
{
    return static_cast<double>(usage.ru_minflt + usage.ru_majflt);
}

struct Held {
    Frames frames; // when it was about to end
    HeldProgram program;
};

// Runs it once more and counts when it is about to end. It must have faulted as the timed runs did:
// otherwise its frames are those of another path.
Held run_to_its_end(const Program &program, const std::vector<PhysicalRange> &pmem, double timed_faults)
{
    Held held;
    held.program =
        run_held([&] { become(program); }, [&](pid_t pid) { held.frames = count_frames(pid, pmem); });
    check_status(program, held.program.status);
    const double faults = faults_of(held.program.usage);
    if (std::abs(faults - timed_faults) > std::max(3.0, timed_faults * 0.02))
        throw std::runtime_error(fmt::format("expected {} to fault as in the timed runs ({:.0f} times) while "
                                             "its frames were counted, it did {:.0f} times",
                                             program.argv_text[0], timed_faults, faults));
    return held;
}

void prepare(const std::string &target, Cache cache)
{
    if (cache == Cache::cold)
        make_cold(target);
    settle();
}

struct Samples {
    json ns = json::array();
    json faults = json::array();
    json minor = json::array();
    json major = json::array();
    json switches = json::array();

    void add(const std::vector<Run> &runs)
    {
        const auto count = static_cast<double>(runs.size());
        double values[5] = {};
        for (const Run &run : runs) {
            values[0] += run.ns;
            values[1] += faults_of(run.usage);
            values[2] += static_cast<double>(run.usage.ru_minflt);
            values[3] += static_cast<double>(run.usage.ru_majflt);
            values[4] += static_cast<double>(run.usage.ru_nvcsw + run.usage.ru_nivcsw);
        }
        ns.push_back(values[0] / count);
        faults.push_back(values[1] / count);
        minor.push_back(values[2] / count);
        major.push_back(values[3] / count);
        switches.push_back(values[4] / count);
    }
};

json frame_metrics(const Frames &frames)
{
    const auto metric = [](std::uint64_t bytes) { return json{{"unit", "bytes"}, {"samples", {bytes}}}; };
    return {{"frames_pmem_bytes", metric(frames.pmem)},
            {"frames_page_cache_bytes", metric(frames.page_cache)},
            {"frames_anonymous_bytes", metric(frames.anonymous)},
            {"frames_zero_bytes", metric(frames.zero)},
            {"frames_other_bytes", metric(frames.other)}};
}

json measure(const RunRequest &request, const Program &program, const std::string &cache_text,
             const std::vector<PhysicalRange> &pmem)
{
    const Cache cache = parse_cache(cache_text);
    const int repetitions = request.workload.value("repetitions", 3);
    const int passes = cache == Cache::cold ? 1 : request.workload.value("passes", 3);
    if (cache == Cache::warm)
        run_timed(program); // its time is not used
    Samples samples;
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        std::vector<Run> runs;
        for (int pass = 0; pass < passes; ++pass) {
            prepare(request.target, cache);
            runs.push_back(run_timed(program));
        }
        samples.add(runs);
    }
    prepare(request.target, cache);
    const Held held = run_to_its_end(program, pmem, samples.faults.back());
    json extra = frame_metrics(held.frames);
    // Held at each brk(2), so their sum is somewhat more than the cost.
    const auto part = [](double ns) { return json{{"unit", "ns"}, {"per", "op"}, {"samples", {ns}}}; };
    extra["start_cost"] = part(held.program.start_ns);
    extra["run_cost"] = part(held.program.run_ns);
    extra["end_cost"] = part(held.program.end_ns);
    extra["page_faults"] = {{"unit", "faults"}, {"samples", samples.faults}};
    extra["minor_faults"] = {{"unit", "faults"}, {"samples", samples.minor}};
    extra["major_faults"] = {{"unit", "faults"}, {"samples", samples.major}};
    json marked = nullptr;
    if (request.mark) {
        prepare(request.target, cache);
        marked = marked_run(program);
    }
    return {{"marked", marked},
            {"variant", ""},
            {"cache", cache_text},
            {"metric", "cost_per_op"},
            {"per", "op"},
            {"unit", "ns"},
            {"samples", samples.ns},
            {"operations", passes},
            {"counters",
             {{"page-faults", samples.faults},
              {"minor-faults", samples.minor},
              {"major-faults", samples.major},
              {"context-switches", samples.switches}}},
            {"extra", extra}};
}

} // namespace

json run_program_engine(const RunRequest &request)
{
    const Program program = make_program(request);
    const auto pmem = pmem_ranges(request.workload);
    check_output(program, request.workload);
    json results = json::array();
    for (const std::string cache : request.workload.value("cache", json::array({"warm"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "program"), cache));
        results.push_back(measure(request, program, cache, pmem));
    }
    return {{"results", results}, {"raw", json::object()}};
}

} // namespace daxbench
