// SPDX-License-Identifier: Apache-2.0
// A program started in a new container: from the first clone(2) to the first byte of its output, to its end,
// and in parts.
#include <cerrno>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cold.hpp"
#include "container.hpp"
#include "container_output.hpp"
#include "engines.hpp"
#include "held_program.hpp"
#include "mode_sampler.hpp"
#include "operations.hpp"
#include "process.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

// Each sampled run has a period of its own, in step with nothing: equal runs would give equal samples.
constexpr int sampled_runs = 12;
constexpr std::uint64_t sample_period_ns = 10'007;
constexpr std::uint64_t sample_period_step_ns = 509;

// Real-time, above the containers that it starts.
class Starter {
public:
    Starter()
    {
        const sched_param priority{.sched_priority = 2};
        ::sched_setscheduler(0, SCHED_FIFO, &priority);
    }
    Starter(const Starter &) = delete;
    Starter &operator=(const Starter &) = delete;
    ~Starter()
    {
        const sched_param priority{.sched_priority = 0};
        ::sched_setscheduler(0, SCHED_OTHER, &priority);
    }
};

struct Run {
    double namespaces = 0;
    double mounts = 0;
    double first_output = 0; // all of them ns, this and the next from the start on
    double whole = 0;
    double faults = 0;
    double user_part = 0; // of the whole, where it was sampled
};

struct Samples {
    json namespaces = json::array();
    json mounts = json::array();
    json first_output = json::array();
    json whole = json::array();
    json faults = json::array();

    void add(const Run &run)
    {
        namespaces.push_back(run.namespaces);
        mounts.push_back(run.mounts);
        first_output.push_back(run.first_output);
        whole.push_back(run.whole);
        faults.push_back(run.faults);
    }
};

class Starts {
public:
    explicit Starts(const RunRequest &request) : request_(request), lower_(request.target)
    {
        if (request.workload.contains("prepare"))
            prepare(request.workload.at("prepare"));
        argv_ = request.workload.at("argv").get<std::vector<std::string>>();
    }

    json measure(const std::string &cache_text)
    {
        cache_ = parse_cache(cache_text);
        const int repetitions = request_.workload.value("repetitions", 3);
        if (cache_ == Cache::warm)
            run_once(); // its time is not used
        Samples samples;
        for (int i = 0; i < repetitions; ++i)
            samples.add(run_once());
        const double user = user_ns();
        const HeldProgram held = hold_once();
        return result(cache_text, samples, user, held);
    }

private:
    // What it leaves is a layer of every container's.
    void prepare(const std::string &script)
    {
        argv_ = {"/bin/sh", "-ec", script + "\necho prepared"};
        ContainerOutput output;
        layer_ = std::make_unique<Container>("prepared", lower_, program(output));
        const pid_t pid = layer_->start();
        output.close_writer();
        output.read_to_end();
        check(wait_for(pid, nullptr), output, "");
        settle(); // its overlay is gone, and its layer may be another's
        lower_ = layer_->upper() + ":" + lower_;
    }

    ContainerProgram program(const ContainerOutput &output) const
    {
        return {argv_, program_environment(request_.workload), output.null(), output.writer(),
                output.writer()};
    }

    void make_ready() const
    {
        settle(); // mounts of the container before are gone
        if (cache_ == Cache::cold)
            make_cold(request_.target);
        settle();
    }

    static int wait_for(pid_t pid, rusage *usage)
    {
        int status = 0;
        while (::wait4(pid, &status, 0, usage) < 0)
            if (errno != EINTR)
                throw_errno("cannot wait for a container");
        return status;
    }

    void check(int status, const ContainerOutput &output, const char *expect = "expect") const
    {
        const std::string said(trim(output.text()));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || said.empty())
            throw std::runtime_error(fmt::format(
                "expected {} in a container to print something and end with status 0, it ended with "
                "{} {}: {}",
                argv_[0], WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                percent_encode(said.substr(0, 300))));
        const std::string expected(trim(request_.workload.value(expect, said)));
        if (said != expected)
            throw std::runtime_error(fmt::format("expected {} in a container to print '{}', it printed '{}'",
                                                 argv_[0], expected, percent_encode(said.substr(0, 200))));
    }

    // With a SAMPLER whose samples are wanted it costs more.
    Run run_once(ModeSampler *sampler = nullptr)
    {
        make_ready();
        ContainerOutput output;
        Container container("measured", lower_, program(output));
        rusage usage{};
        Run run;
        int status = 0;
        {
            const Starter starter;
            if (sampler != nullptr)
                sampler->start();
            const std::uint64_t start = now_ns();
            const pid_t pid = container.start();
            output.close_writer();
            const std::uint64_t first = output.read_first() ? now_ns() : 0;
            output.read_to_end();
            status = wait_for(pid, &usage);
            const std::uint64_t end = now_ns();
            if (sampler != nullptr)
                run.user_part = sampler->stop().user_part();
            run.namespaces = static_cast<double>(container.entered_ns() - start);
            run.mounts = static_cast<double>(container.mounted_ns() - container.entered_ns());
            run.first_output = static_cast<double>(first - start);
            run.whole = static_cast<double>(end - start);
        }
        check(status, output);
        run.faults = static_cast<double>(usage.ru_minflt + usage.ru_majflt);
        return run;
    }

    // User space executes the same whatever is cached: estimated once, warm, where the kernel does least.
    double user_ns()
    {
        if (user_ns_ > 0)
            return user_ns_;
        const Cache cache = std::exchange(cache_, Cache::warm);
        run_once();
        const double whole = run_once().whole;
        double part = 0;
        for (int run = 0; run < sampled_runs; ++run) {
            ModeSampler sampler(sample_period_ns + static_cast<std::uint64_t>(run) * sample_period_step_ns);
            part += run_once(&sampler).user_part;
        }
        cache_ = cache;
        if (part == 0)
            throw std::runtime_error(
                fmt::format("expected perf's cpu-clock to find {} in user space once in {} runs, it never "
                            "did: samples cost more than their period here",
                            argv_[0], sampled_runs));
        user_ns_ = whole * part / sampled_runs;
        return user_ns_;
    }

    // Its parts, by the calls that it is held at.
    HeldProgram hold_once()
    {
        make_ready();
        ContainerOutput output;
        Container container("measured", lower_, program(output));
        const HeldProgram held =
            run_held([&] { container.become(); }, [](pid_t) {}, {container.clone_flags(), true});
        output.close_writer();
        container.check();
        output.read_to_end();
        check(held.status, output);
        exec_ns_ = static_cast<double>(held.first_stop_ns - container.mounted_ns());
        return held;
    }

    json result(const std::string &cache, const Samples &samples, double user, const HeldProgram &held) const
    {
        const auto costs = [](const json &ns) {
            return json{{"unit", "ns"}, {"per", "op"}, {"samples", ns}};
        };
        json user_ns = json::array();
        json kernel_ns = json::array();
        for (const double whole : samples.whole) {
            user_ns.push_back(std::round(user));
            kernel_ns.push_back(std::round(whole - user));
        }
        return {{"variant", ""},
                {"cache", cache},
                {"metric", "cost_per_op"},
                {"per", "op"},
                {"unit", "ns"},
                {"samples", samples.whole},
                {"operations", 1},
                {"counters", {{"page-faults", samples.faults}}},
                {"extra",
                 {{"first_output_cost", costs(samples.first_output)},
                  {"namespace_cost", costs(samples.namespaces)},
                  {"mount_cost", costs(samples.mounts)},
                  {"exec_cost", costs(json::array({exec_ns_}))},
                  {"link_cost", costs(json::array({held.link_ns}))},
                  {"interpreter_cost", costs(json::array({held.output_ns}))},
                  {"rest_cost", costs(json::array({held.rest_ns}))},
                  {"end_cost", costs(json::array({held.end_ns}))},
                  {"user_cost", costs(user_ns)},
                  {"kernel_cost", costs(kernel_ns)},
                  {"page_faults", {{"unit", "faults"}, {"samples", samples.faults}}}}}};
    }

    const RunRequest &request_;
    std::string lower_;
    std::vector<std::string> argv_;
    Cache cache_ = Cache::warm;
    double exec_ns_ = 0;
    double user_ns_ = 0;
    ContainerStore store_;
    std::unique_ptr<Container> layer_;
};

} // namespace

json run_container_engine(const RunRequest &request)
{
    request.load("overlay");
    Starts starts(request);
    json results = json::array();
    for (const std::string cache : request.workload.value("cache", json::array({"warm"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "container"), cache));
        results.push_back(starts.measure(cache));
    }
    return {{"results", results}, {"raw", json::object()}};
}

} // namespace daxbench
