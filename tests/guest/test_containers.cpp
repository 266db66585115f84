// SPDX-License-Identifier: Apache-2.0
// The bench's containers: what is in one, what it costs in parts, and what many of them hold.
#include <algorithm>
#include <fstream>
#include <numeric>

#include <gtest/gtest.h>

#include "cache.hpp"
#include "harness.hpp"

namespace {

namespace fs = std::filesystem;
using daxbench::Seconds;
using daxtest::json;

class Containers : public daxtest::GuestTest {
protected:
    void SetUp() override
    {
        const auto busybox = daxbench::find_program("busybox");
        ASSERT_TRUE(busybox) << "needs the package busybox-static";
        const auto tree = dir_.path() / "tree";
        for (const char *folder : {"bin", "proc", "dev", "etc", "000/common", "001/common"})
            fs::create_directories(tree / folder);
        fs::copy_file(*busybox, tree / "bin/sh");
        std::ofstream(tree / "etc/name") << "of the image\n";
        for (const std::string layer : {"000", "001"})
            std::ofstream(tree / layer / ("common/in-" + layer)) << std::string(10000, 'x');
        daxtest::make_image(tree, image_);
        icount_ = true; // costs mean nothing where a busy host stretches them
        boot("pmem", {"daxfs", "overlay"});
        daxtest::mount(*guest_);
    }

    json measure(const json &workload)
    {
        return guest_
            ->call("run", {{"target", daxtest::target}, {"workload", workload}, {"seed", 1}}, Seconds(120))
            .at("results");
    }

    static json script(const std::string &text, const std::string &expect)
    {
        return {{"engine", "container"},
                {"argv", {"/bin/sh", "-c", text}},
                {"expect", expect},
                {"repetitions", 1},
                {"cache", {"cold", "warm"}}};
    }
};

// Names of its own, a root of its own, and nothing of the guest's in sight; each starts from the image.
TEST_F(Containers, HaveNamespacesAndALayerOfTheirOwn)
{
    measure(script("read name < /etc/name; echo $$ $name; echo mine > /etc/name", "1 of the image"));
    measure(script("hostname", "measured"));
    measure(script("while read d at rest; do echo $at; done < /proc/mounts", "/\n/proc\n/dev"));
    measure(script("cat /containers/* /root-of-containers 2>/dev/null || echo none", "none"));
    EXPECT_EQ(sh("cat /mnt/x/etc/name").out, "of the image\n");
    EXPECT_EQ(sh("ls /containers").out, "");
    finish();
}

TEST_F(Containers, WhatWasPreparedIsInEach)
{
    auto workload = script("read name < /etc/name; echo $name; echo again > /etc/name", "prepared");
    workload["prepare"] = "echo prepared > /etc/name";
    measure(workload);
    workload["prepare"] = "exit 3";
    EXPECT_THROW(measure(workload), std::runtime_error);
    finish();
}

TEST_F(Containers, OneThatCannotRunSaysWhy)
{
    auto workload = script("", "");
    workload["argv"] = {"/bin/none"};
    try {
        measure(workload);
        FAIL() << "no error";
    } catch (const std::exception &error) {
        EXPECT_TRUE(daxtest::contains(error.what(), "could not execute its program")) << error.what();
    }
    EXPECT_EQ(sh("cat /mnt/x/etc/name").out, "of the image\n") << "and the guest goes on";
    finish();
}

TEST_F(Containers, ThePartsAreWithinTheWhole)
{
    const auto results = measure(script("echo out; : end", "out"));
    ASSERT_EQ(results.size(), 2U);
    for (const auto &result : results) {
        const double whole = result.at("samples").at(0);
        const auto part = [&](const char *name) -> double {
            return result.at("extra").at(name).at("samples").at(0);
        };
        for (const char *name :
             {"namespace_cost", "mount_cost", "exec_cost", "first_output_cost", "user_cost"})
            EXPECT_TRUE(part(name) > 0 && part(name) < whole) << name << " " << result.dump();
        EXPECT_LT(part("namespace_cost") + part("mount_cost"), part("first_output_cost")) << result.dump();
        EXPECT_NEAR(part("user_cost") + part("kernel_cost"), whole, 2) << result.dump();
    }
    finish();
}

TEST_F(Containers, ManyLeaveNothingInThePageCache)
{
    const auto results = measure({{"engine", "containers"},
                                  {"containers", 3},
                                  {"argv", {"/bin/sh", "-c", "echo ready; read line"}},
                                  {"ready", "ready"}});
    EXPECT_EQ(results.at(0).at("samples").at(0), 0) << results.dump();
    const auto &extra = results.at(0).at("extra");
    EXPECT_GT(extra.at("frames_pmem_bytes").at("samples").at(0), 0) << results.dump();
    EXPECT_GT(extra.at("container_bytes").at("samples").at(0), 0) << results.dump();
    finish();
}

TEST_F(Containers, LayersAreMountedLookedUpAndShared)
{
    for (const char *op : {"mount", "lookup", "open"})
        EXPECT_EQ(
            measure({{"engine", "layers"}, {"op", op}, {"layers", 2}, {"cache", {"cold", "warm"}}}).size(),
            2U);
    const auto shared = measure({{"engine", "layers"}, {"op", "share"}, {"layers", 2}});
    EXPECT_EQ(shared.at(0).at("samples").at(0), 0) << shared.dump();
    EXPECT_EQ(shared.at(0).at("operations"), 2) << shared.dump();
    EXPECT_EQ(shared.at(0).at("extra").at("frames_pmem_bytes").at("samples").at(0), 3 * 4096)
        << "equal files lie in the image once: " << shared.dump();
    finish();
}

} // namespace
