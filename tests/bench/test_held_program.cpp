// SPDX-License-Identifier: Apache-2.0
// Programs that are looked at when they are about to end.
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "held_program.hpp"
#include "io.hpp"

namespace daxbench {
namespace {

void shell(const char *script)
{
    const char *const argv[] = {"sh", "-c", script, nullptr};
    const char *const env[] = {"PATH=/usr/bin:/bin", nullptr};
    ::execve("/bin/sh", const_cast<char *const *>(argv), const_cast<char *const *>(env));
}

TEST(HeldProgram, IsLookedAtOnceWithItsMemoryAndUntraced)
{
    int looks = 0;
    std::string maps;
    std::string status;
    const auto held = run_held([] { shell("exit 3"); },
                               [&](pid_t pid) {
                                   ++looks;
                                   maps = read_file("/proc/" + std::to_string(pid) + "/maps");
                                   status = read_file("/proc/" + std::to_string(pid) + "/status");
                               });
    EXPECT_EQ(looks, 1);
    EXPECT_NE(maps.find("[stack]"), std::string::npos) << maps;
    EXPECT_NE(status.find("TracerPid:\t0\n"), std::string::npos) << status;
    EXPECT_TRUE(WIFEXITED(held.status));
    EXPECT_EQ(WEXITSTATUS(held.status), 3);
    EXPECT_GT(held.usage.ru_minflt, 0);
    EXPECT_GT(held.start_ns, 0);
    EXPECT_GT(held.run_ns, 0);
    EXPECT_GT(held.end_ns, 0);
}

// The time that this side takes to look is nobody's.
TEST(HeldProgram, ItsTimeIsItsOwn)
{
    const auto held = run_held([] { shell("sleep 0.1; exit 0"); },
                               [&](pid_t) { std::this_thread::sleep_for(std::chrono::seconds(3)); });
    EXPECT_GE(held.run_ns, 0.1e9);
    EXPECT_LT(held.start_ns + held.run_ns + held.end_ns, 3e9);
}

TEST(HeldProgram, ItsFirstOutputIsAStop)
{
    const auto held =
        run_held([] { shell("sleep 0.1; echo out >/dev/null; exec 1>/dev/null; echo out; sleep 0.2"); },
                 [](pid_t) {}, {.first_output = true});
    EXPECT_GT(held.link_ns, 0);
    EXPECT_GE(held.output_ns, 0.1e9);
    EXPECT_LT(held.output_ns, 0.2e9);
    EXPECT_GE(held.rest_ns, 0.2e9);
    EXPECT_GT(held.first_stop_ns, 0U);
}

TEST(HeldProgram, RunsInNamespacesOfItsOwn)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root makes namespaces";
    pid_t seen = 0;
    const auto held = run_held([] { shell("test $$ = 1 && exit 5"); }, [&](pid_t pid) { seen = pid; },
                               {.clone_flags = CLONE_NEWPID});
    EXPECT_EQ(WEXITSTATUS(held.status), 5);
    EXPECT_GT(seen, 1);
}

TEST(HeldProgram, ItsChildrenEndWithoutBeingLookedAt)
{
    int looks = 0;
    run_held([] { shell("/bin/true; (exit 1); /bin/true"); }, [&](pid_t) { ++looks; });
    EXPECT_EQ(looks, 1);
}

TEST(HeldProgram, AnotherEndIsAnError)
{
    EXPECT_THROW(run_held([] { shell("kill -KILL $$"); }, [](pid_t) {}), std::runtime_error);
}

TEST(HeldProgram, AProgramThatIsNotThereEndsWith127)
{
    const auto held = run_held([] {}, [](pid_t) {});
    EXPECT_EQ(WEXITSTATUS(held.status), 127);
}

TEST(HeldProgram, WhatTheLookThrowsComesOut)
{
    try {
        run_held([] { shell("exit 0"); }, [](pid_t) { throw std::runtime_error("seen"); });
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        EXPECT_STREQ(error.what(), "seen");
    }
}

} // namespace
} // namespace daxbench
