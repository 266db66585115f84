// SPDX-License-Identifier: Apache-2.0
// The executor on a real Slurm: munged, slurmctld and two slurmd on this machine, all in a temporary folder.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "slurm.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using std::string;

constexpr std::chrono::seconds start_limit{30};

void pause_ms(int milliseconds)
{
    ::poll(nullptr, 0, milliseconds);
}

/// One that nobody listens on now.
unsigned free_port()
{
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(fd.get(), reinterpret_cast<sockaddr *>(&address), size) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr *>(&address), &size) != 0)
        throw std::runtime_error("no free port");
    return ntohs(address.sin_port);
}

string host_name()
{
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    const string whole = name;
    return whole.substr(0, whole.find('.'));
}

/// Ends with all that it started, even what was left by a slurmd that was killed.
class Cluster {
public:
    Cluster()
    {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        // munged wants its socket to be reachable by all.
        fs::permissions(dir, fs::perms(0711));
        make_key();
        write_file(dir / "slurm.conf", configuration());
        setenv("SLURM_CONF", (dir / "slurm.conf").c_str(), 1);
        munged_ = start({"munged", "--foreground", "--key-file=" + path("key"),
                         "--socket=" + path("munge.sock"), "--pid-file=" + path("munge.pid"),
                         "--log-file=" + path("munge.log"), "--seed-file=" + path("munge.seed")});
        wait_for(dir / "munge.sock");
        controller_ = start({"slurmctld", "-D"});
        for (const auto *name : {"n1", "n2"})
            start_node(name);
        wait_until_idle();
    }

    ~Cluster()
    {
        nodes_.clear();
        controller_ = Child();
        munged_ = Child();
        end_orphans();
    }

    void start_node(const string &name)
    {
        fs::create_directories(dir / name);
        nodes_[name] = start({"slurmd", "-D", "-N", name});
    }

    /// As if the machine were gone: by the pid that was started.
    void lose_node(const string &name) { nodes_.at(name).kill(); }

    void wait_until_idle()
    {
        const auto deadline = std::chrono::steady_clock::now() + start_limit;
        string seen;
        while (std::chrono::steady_clock::now() < deadline) {
            seen = run_command({"sinfo", "-h", "-N", "-o", "%N %t"}).out;
            if (seen == "n1 idle\nn2 idle\n")
                return;
            reap();
            pause_ms(200);
        }
        throw std::runtime_error("expected two idle nodes, sinfo says: " + seen + "; logs: " + log_texts());
    }

    /// What has ended of the jobs that came to us from a parent that is gone: Slurm waits until they are no
    /// more.
    void reap() const
    {
        for (const pid_t pid : children())
            if (!is_daemon(pid))
                waitpid(pid, nullptr, WNOHANG);
    }

    string active_jobs() const { return run_checked({"squeue", "-h", "-o", "%i %T %N"}).out; }

    const daxfs::TempDir folder;
    const fs::path dir = folder.path();

private:
    void wait_for(const fs::path &file) const
    {
        const auto deadline = std::chrono::steady_clock::now() + start_limit;
        while (!fs::exists(file)) {
            if (std::chrono::steady_clock::now() > deadline)
                throw std::runtime_error("expected " + file.string() + ": " + log_texts());
            pause_ms(50);
        }
    }

    string path(const string &name) const { return (dir / name).string(); }

    Child start(const Argv &argv)
    {
        const Fd log(
            open((dir / (argv[0] + ".out")).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        Child::Streams streams;
        streams.out = log.get();
        streams.err = log.get();
        return Child::start(argv, streams);
    }

    string log_texts() const
    {
        string texts;
        for (const auto *name : {"munged.out", "slurmctld.out", "slurmd.out"})
            if (fs::exists(dir / name))
                texts += string("\n") + name + ":\n" + read_file(dir / name);
        return texts;
    }

    void make_key()
    {
        string key(128, '\0');
        const Fd random(open("/dev/urandom", O_RDONLY | O_CLOEXEC));
        ASSERT_EQ(read(random.get(), key.data(), key.size()), 128);
        write_file(dir / "key", key);
        fs::permissions(dir / "key", fs::perms::owner_read);
        fs::create_directories(dir / "state");
    }

    string configuration() const
    {
        const string user = getpwuid(geteuid())->pw_name;
        const auto place = [this](const char *name) { return path(name); };
        string text = "ClusterName=daxbench-test\nMpiDefault=none\nSwitchType=switch/none\n"
                      "AuthType=auth/munge\nCredType=cred/munge\nProctrackType=proctrack/pgid\n"
                      "TaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n"
                      "AccountingStorageType=accounting_storage/none\nSelectType=select/cons_tres\n"
                      "SelectTypeParameters=CR_Core\nSlurmdParameters=config_overrides\nReturnToService=2\n"
                      "SlurmdTimeout=4\nKillWait=2\nMinJobAge=60\n"
                      "SchedulerParameters=sched_interval=1,batch_sched_delay=0\n";
        text += fmt::format("SlurmctldHost={}(127.0.0.1)\nSlurmUser={}\nSlurmdUser={}\nSlurmctldPort={}\n",
                            host_name(), user, user, free_port());
        text += fmt::format("AuthInfo=socket={}\nStateSaveLocation={}\nSlurmctldPidFile={}\n",
                            place("munge.sock"), place("state"), place("slurmctld.pid"));
        text += fmt::format("SlurmdPidFile={}\nSlurmdSpoolDir={}\nSlurmctldLogFile={}\nSlurmdLogFile={}\n",
                            place("%n.pid"), place("%n"), place("slurmctld.log"), place("%n.log"));
        for (const auto *name : {"n1", "n2"})
            text += fmt::format("NodeName={} NodeHostname={} NodeAddr=127.0.0.1 Port={} CPUs=2 "
                                "RealMemory=1000\n",
                                name, host_name(), free_port());
        return text + "PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n";
    }

    static std::vector<pid_t> children()
    {
        std::istringstream text(read_file(fmt::format("/proc/self/task/{}/children", gettid())));
        return {std::istream_iterator<pid_t>(text), {}};
    }

    bool is_daemon(pid_t pid) const
    {
        return pid == munged_.pid() || pid == controller_.pid() ||
               std::ranges::any_of(nodes_, [pid](const auto &node) { return node.second.pid() == pid; });
    }

    /// Jobs of a slurmd that was killed go on; as the nearest subreaper they are ours.
    static void end_orphans()
    {
        for (int round = 0; round < 100; ++round)
            for (const pid_t pid : children()) {
                ::kill(pid, SIGKILL);
                waitpid(pid, nullptr, 0);
            }
    }

    Child munged_;
    Child controller_;
    std::map<string, Child> nodes_;
};

class SlurmTest : public testing::Test {
protected:
    static void SetUpTestSuite() { cluster_ = new Cluster; }
    static void TearDownTestSuite()
    {
        delete cluster_;
        cluster_ = nullptr;
    }

    /// A job that runs `script` in sh with $RESULT, the file that it has to write, and $ATTEMPT.
    SlurmJob job(const string &name, const string &script)
    {
        SlurmJob job;
        job.what = name;
        job.memory_mib = 100;
        job.log = cluster_->dir / (name + ".log");
        const auto result = [name](int attempt) {
            return cluster_->dir / fmt::format("{}.result.{}", name, attempt);
        };
        job.command = [script, result](int attempt) {
            return Argv{"/usr/bin/env",
                        fmt::format("RESULT={}", result(attempt).string()),
                        fmt::format("ATTEMPT={}", attempt),
                        "sh",
                        "-c",
                        script};
        };
        job.take = [this, name, result](int attempt) {
            if (!fs::exists(result(attempt)))
                return false;
            results_[name] = read_file(result(attempt));
            return true;
        };
        job.end = [this, name](const string &reason) { ended_[name] = reason; };
        return job;
    }

    void run(
        const std::vector<SlurmJob> &jobs, const std::function<void()> &tick = [] {})
    {
        SlurmOptions options;
        options.name = "daxbench-test";
        options.poll = Seconds(0.3);
        options.grace = Seconds(1);
        run_on_slurm(
            jobs, options, [this](const string &line) { said_.push_back(line); },
            [&] {
                cluster_->reap();
                tick();
            });
    }

    static Cluster *cluster_;
    std::map<string, string> results_;
    std::map<string, string> ended_;
    std::vector<string> said_;
};

Cluster *SlurmTest::cluster_ = nullptr;

/// Written whole: what is seen is there.
constexpr const char *write_node = "echo $SLURMD_NODENAME > $RESULT.new; mv $RESULT.new $RESULT";

TEST_F(SlurmTest, JobsRunOnAllNodesAndEachEndsOnce)
{
    std::vector<SlurmJob> jobs;
    for (const auto *name : {"a", "b", "c", "d"}) {
        jobs.push_back(job(name, string("sleep 1; ") + write_node));
        jobs.back().exclusive = true;
    }
    run(jobs);
    EXPECT_EQ(ended_, (std::map<string, string>{{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}));
    std::set<string> nodes;
    for (const auto &[name, node] : results_)
        nodes.insert(node);
    EXPECT_EQ(nodes, (std::set<string>{"n1\n", "n2\n"}));
    EXPECT_TRUE(said_.empty());
}

TEST_F(SlurmTest, AJobWithoutAResultIsTriedThreeTimesAndThenFails)
{
    run({job("bad", "echo tried $ATTEMPT; exit 3"), job("good", write_node)});
    EXPECT_EQ(ended_.at("good"), "");
    EXPECT_NE(ended_.at("bad").find("expected its result in 3 attempts: job "), string::npos)
        << ended_["bad"];
    EXPECT_NE(ended_.at("bad").find("ended as FAILED on n"), string::npos) << ended_["bad"];
    EXPECT_EQ(read_file(cluster_->dir / "bad.log"), "tried 1\ntried 2\ntried 3\n");
    EXPECT_EQ(said_.size(), 2U);
}

TEST_F(SlurmTest, TheJobOfALostNodeRunsAgainOnAnother)
{
    // Both nodes are busy with a first attempt that waits; one of them is lost, and what is left there never
    // ends.
    const auto go = cluster_->dir / "go";
    const auto script = fmt::format("echo $SLURMD_NODENAME > $RESULT.at; [ $ATTEMPT -gt 1 ] || "
                                    "until [ -e {}.$SLURMD_NODENAME ]; do sleep 0.1; done; {}",
                                    go.string(), write_node);
    auto one = job("one", script);
    auto two = job("two", script);
    one.exclusive = two.exclusive = true;
    string lost;
    run({one, two}, [&] {
        for (const auto *name : {"one", "two"}) {
            const auto where = cluster_->dir / fmt::format("{}.result.1.at", name);
            if (lost.empty() && fs::exists(where) && read_file(where) == "n2\n") {
                lost = name;
                cluster_->lose_node("n2");
                write_file(go.string() + ".n1", "");
            }
        }
    });
    ASSERT_FALSE(lost.empty());
    EXPECT_EQ(ended_, (std::map<string, string>{{"one", ""}, {"two", ""}}));
    EXPECT_EQ(results_.at(lost), "n1\n");
    ASSERT_EQ(said_.size(), 1U);
    EXPECT_NE(said_[0].find("ended as NODE_FAIL on n2"), string::npos) << said_[0];
    EXPECT_NE(said_[0].find("started again (2 of 3)"), string::npos) << said_[0];
    cluster_->start_node("n2");
    cluster_->wait_until_idle();
}

TEST_F(SlurmTest, CtrlCCancelsItsJobs)
{
    testing::FLAGS_gtest_death_test_style = "fast";
    const auto interrupt_and_run = [this] {
        install_signal_handlers();
        int ticks = 0;
        try {
            run({job("long", "sleep 300"), job("longer", "sleep 300")}, [&] {
                if (++ticks == 5)
                    raise(SIGINT);
            });
        } catch (const Interrupted &) {
            _exit(0);
        }
        _exit(1);
    };
    EXPECT_EXIT(interrupt_and_run(), testing::ExitedWithCode(0), "");
    for (int i = 0; i < 100 && !cluster_->active_jobs().empty(); ++i) {
        cluster_->reap();
        pause_ms(200);
    }
    EXPECT_EQ(cluster_->active_jobs(), "");
}

} // namespace
} // namespace daxbench

int main(int argc, char **argv)
{
    for (const auto *program : {"munged", "slurmctld", "slurmd", "sbatch"})
        if (!daxbench::find_program(program)) {
            std::cout << "skipped: needs " << program
                      << " (packages munge, slurmctld, slurmd and slurm-client)\n";
            return 77;
        }
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
