// SPDX-License-Identifier: Apache-2.0
#include "slurm.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

#include <poll.h>

#include <fmt/core.h>

namespace daxbench {
namespace {

using std::string;
using std::vector;
using Clock = std::chrono::steady_clock;

constexpr unsigned at_once_by_default = 200;
/// Ctrl-C must end, whether or not slurmctld answers.
constexpr std::chrono::seconds cancel_limit{20};

struct Seen {
    string state; ///< as squeue has it
    string nodes;
};

string first_line(const string &text)
{
    return text.substr(0, text.find('\n'));
}

/// Not one of these: it has ended, in one way or another.
bool is_active(const string &state)
{
    static const std::set<string> active{"PENDING",   "RUNNING",   "CONFIGURING", "COMPLETING", "SUSPENDED",
                                         "STAGE_OUT", "SIGNALING", "RESIZING",    "STOPPED"};
    return active.contains(state);
}

/// What the largest node has: no job may ask for more processors.
unsigned most_cpus()
{
    std::istringstream lines(run_checked({"sinfo", "-h", "-o", "%c"}).out);
    unsigned most = 0;
    for (string line; std::getline(lines, line);)
        most = std::max(most, static_cast<unsigned>(std::strtoul(line.c_str(), nullptr, 10)));
    if (most == 0)
        throw std::runtime_error("expected nodes of Slurm, sinfo names none: is slurmctld configured?");
    return most;
}

class Submission {
public:
    Submission(const vector<SlurmJob> &jobs, const SlurmOptions &options,
               const std::function<void(const string &)> &say)
        : jobs_(jobs), options_(options), say_(say), cpus_(most_cpus())
    {
        for (std::size_t index = jobs.size(); index-- > 0;)
            waiting_.push_back(index);
    }

    void run(const std::function<void()> &tick)
    {
        const std::size_t most = options_.at_once > 0 ? options_.at_once : at_once_by_default;
        while (!waiting_.empty() || !running_.empty()) {
            while (!waiting_.empty() && running_.size() < most) {
                submit(waiting_.back(), 1);
                waiting_.pop_back();
            }
            pause();
            look();
            tick();
        }
    }

    /// Whether or not Ctrl-C was pressed; what it says goes nowhere, there is nothing to be done about it.
    void cancel() const
    {
        if (running_.empty())
            return;
        auto child = Child::start({"scancel", "--name=" + options_.name}, {});
        const auto deadline = Clock::now() + cancel_limit;
        while (child.running() && Clock::now() < deadline)
            ::poll(nullptr, 0, 50);
    }

private:
    struct Running {
        std::size_t job = 0;
        int attempt = 1;
        std::optional<Clock::time_point> gone; ///< since when it is known to have ended
        string last;                           ///< how it ended, for people
    };

    void submit(std::size_t index, int attempt)
    {
        const auto &job = jobs_[index];
        Argv argv{"sbatch",
                  "--parsable",
                  "--no-requeue", // we start it again ourselves, and count
                  "--job-name=" + options_.name,
                  "--nodes=1",
                  "--ntasks=1",
                  fmt::format("--cpus-per-task={}", std::min(job.cpus, cpus_)),
                  "--output=" + job.log.string(),
                  "--open-mode=append",
                  "--wrap=exec " + quoted(job.command(attempt))};
        if (job.memory_mib > 0)
            argv.push_back(fmt::format("--mem={}M", job.memory_mib));
        if (job.exclusive)
            argv.emplace_back("--exclusive");
        const auto id = first_line(run_checked(argv).out);
        Running running;
        running.job = index;
        running.attempt = attempt;
        running_[id.substr(0, id.find(';'))] = running; // "ID;CLUSTER" where there are several
    }

    void pause() const
    {
        pollfd fd{interrupt_fd(), POLLIN, 0};
        ::poll(&fd, 1, static_cast<int>(options_.poll.count() * 1000));
        throw_if_interrupted();
    }

    /// By job id; nothing while slurmctld does not answer.
    std::optional<std::map<string, Seen>> ask()
    {
        const auto answer =
            run_command({"squeue", "-h", "-a", "-t", "all", "--name=" + options_.name, "-o", "%i|%T|%N"});
        if (!answer.ok()) {
            if (Clock::now() - answered_ > options_.silence)
                throw std::runtime_error(fmt::format("expected squeue to answer within {:.0f} s, it says: {}",
                                                     options_.silence.count(), first_line(answer.err)));
            return std::nullopt;
        }
        answered_ = Clock::now();
        std::map<string, Seen> seen;
        std::istringstream lines(answer.out);
        for (string line; std::getline(lines, line);) {
            const auto one = line.find('|');
            const auto two = line.find('|', one + 1);
            if (two != string::npos)
                seen[line.substr(0, one)] = {line.substr(one + 1, two - one - 1), line.substr(two + 1)};
        }
        return seen;
    }

    void look()
    {
        const auto seen = ask();
        if (!seen)
            return;
        const auto before = running_;
        for (const auto &[id, running] : before)
            look_at(id, *seen);
    }

    void look_at(const string &id, const std::map<string, Seen> &seen)
    {
        auto &running = running_.at(id);
        const auto &job = jobs_[running.job];
        if (job.take(running.attempt)) {
            running_.erase(id);
            job.end("");
            return;
        }
        const auto found = seen.find(id);
        if (found != seen.end() && is_active(found->second.state))
            return;
        if (!running.gone) {
            running.gone = Clock::now();
            running.last = found == seen.end()
                               ? "is no longer known to Slurm"
                               : fmt::format("ended as {} on {}", found->second.state, found->second.nodes);
        }
        if (Clock::now() - *running.gone >= options_.grace)
            start_again(id);
    }

    void start_again(const string &id)
    {
        const auto running = running_.at(id);
        running_.erase(id);
        const auto &job = jobs_[running.job];
        const auto what = fmt::format("job {} of Slurm {} and left no result; its log is {}", id,
                                      running.last, job.log.string());
        if (running.attempt >= options_.attempts) {
            job.end(fmt::format("expected its result in {} attempts: {}", options_.attempts, what));
            return;
        }
        say_(fmt::format("{}: {}; started again ({} of {})", job.what, what, running.attempt + 1,
                         options_.attempts));
        submit(running.job, running.attempt + 1);
    }

    const vector<SlurmJob> &jobs_;
    const SlurmOptions &options_;
    const std::function<void(const string &)> &say_;
    const unsigned cpus_;
    vector<std::size_t> waiting_;       ///< the next one is the last
    std::map<string, Running> running_; ///< by Slurm's job id
    Clock::time_point answered_ = Clock::now();
};

} // namespace

void run_on_slurm(const vector<SlurmJob> &jobs, const SlurmOptions &options,
                  const std::function<void(const string &)> &say, const std::function<void()> &tick)
{
    for (const auto *program : {"sbatch", "squeue", "scancel", "sinfo"})
        if (!find_program(program))
            throw std::runtime_error(
                fmt::format("expected Slurm's {}, it is not here: install slurm-client, and say where its "
                            "configuration is (SLURM_CONF)",
                            program));
    Submission submission(jobs, options, say);
    try {
        submission.run(tick);
    } catch (...) {
        submission.cancel();
        throw;
    }
}

} // namespace daxbench
