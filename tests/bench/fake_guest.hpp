// SPDX-License-Identifier: Apache-2.0
// Guests that answer from a table, and the cells that run in them.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "driver.hpp"
#include "session.hpp"

namespace daxbench {

using nlohmann::json;
using std::string;

using Answers = std::map<string, std::function<json(const json &)>>;

inline json memory_answer(double page_cache)
{
    return {{"page_cache", page_cache},
            {"buffers", 10},
            {"slab", 100},
            {"anonymous", 50},
            {"mem_free", (1 << 20) - page_cache}};
}

inline json run_answer()
{
    return json::parse(R"({"results": [
        {"variant": "shared", "cache": "warm", "metric": "cost_per_op", "per": "page",
         "samples": [15.5, 14.5, 15], "operations": 1000,
         "counters": {"page-faults": [2, 2, 2], "cycles": {"unavailable": "no PMU"}},
         "extra": {"faults": {"unit": "faults", "samples": [2, 2, 2]},
                   "latency": {"unit": "ns", "samples": [3]}}}],
        "raw": {"benchmarks": []}})");
}

/// Answers from a table; records what it was asked.
class FakeGuest : public GuestSession {
public:
    FakeGuest(const Answers &answers, const std::vector<Request> &script, std::vector<string> &calls,
              std::mutex &mutex)
        : answers_(answers), script_(script), calls_(calls), mutex_(mutex)
    {
    }
    using GuestSession::call;
    const json &hello() const override { return hello_; }
    json call(const string &op, const json &args, Seconds) override
    {
        {
            const std::lock_guard lock(mutex_);
            calls_.push_back(op);
        }
        if (made_ < script_.size()) { // as the real one does
            EXPECT_EQ((Request{op, args}), script_[made_]);
        }
        ++made_;
        if (op == "memory")
            return memory_answer(memory_calls_++ == 0 ? 1000 : 1500);
        const auto answer = answers_.find(op);
        return answer == answers_.end() ? json::object() : answer->second(args);
    }
    void shutdown() override { call("shutdown", json(), Seconds(0)); }
    HostMemory host_memory() const override
    {
        HostMemory memory;
        memory.total = {4000, 3000};
        memory.image = {1000, 500};
        memory.ram = {2000, 2000};
        memory.rest = {980, 480};
        memory.files = {300, 100};
        memory.resident = 4000;
        return memory;
    }
    const Argv &command() const override { return command_; }
    string profile() const override
    {
        return answers_.contains("profile") ? answers_.at("profile")(json()).get<string>() : "";
    }

private:
    const Answers &answers_;
    std::vector<Request> script_;
    std::size_t made_ = 0;
    std::vector<string> &calls_;
    std::mutex &mutex_;
    int memory_calls_ = 0;
    json hello_ = {{"kernel", "6.12"}, {"cpu_model", "max"}, {"clocksource", "tsc"}};
    Argv command_{"qemu"};
};

/// Remembers what was done to it.
class FakeImage : public WritableImage {
public:
    FakeImage(std::vector<string> &calls, std::atomic<int> &writes) : calls_(calls), writes_(writes) {}
    std::uint64_t bytes() const override { return 1 << 20; }
    const std::vector<std::uint64_t> &metadata() const override { return metadata_; }
    string pristine(std::uint64_t, std::size_t size) const override { return string(size, 'p'); }
    void write(std::uint64_t offset, std::string_view bytes) override
    {
        EXPECT_LE(offset % 4096 + bytes.size(), 4096U);
        EXPECT_LE(offset + bytes.size(), this->bytes());
        ++writes_;
    }
    void write_other() override { ++writes_; }
    void restore() override { calls_.emplace_back("restore"); }

private:
    std::vector<string> &calls_;
    std::atomic<int> &writes_;
    std::vector<std::uint64_t> metadata_ = {0, 4096, 40960};
};

class FakeHost : public GuestHost {
public:
    std::unique_ptr<WritableImage> writable_image(const Cell &) override
    {
        return std::make_unique<FakeImage>(calls, writes_);
    }
    std::unique_ptr<GuestSession> boot_on(const Cell &cell, int instance, const WritableImage &,
                                          GuestRole role) override
    {
        if (role == GuestRole::writer) {
            ++writers;
            return std::make_unique<FakeGuest>(answers, std::vector<Request>{}, writer_calls, mutex_);
        }
        return boot(cell, instance, {});
    }
    std::unique_ptr<GuestSession> boot(const Cell &, int instance,
                                       const std::vector<Request> &script) override
    {
        if (instance == broken_instance)
            throw std::runtime_error("no hello within 60 s");
        return std::make_unique<FakeGuest>(answers, script, calls, mutex_);
    }
    void step(const Cell &, const string &) override {}

    /// Until somebody writes to the image, for 20 s at most: on a busy machine no time is enough.
    void wait_for_a_write()
    {
        const auto written = [this] {
            const std::lock_guard lock(mutex_);
            return writes_ + std::ranges::count(writer_calls, "overwrite");
        };
        const auto before = written();
        for (int i = 0; i < 4000 && written() == before; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }

    Answers answers{{"prove",
                     [](const json &) {
                         return json{{"statx_dax", true}};
                     }},
                    {"run", [](const json &) { return run_answer(); }}};
    std::vector<string> calls;
    std::vector<string> writer_calls;
    int writers = 0;
    int broken_instance = -1;

private:
    std::mutex mutex_;
    std::atomic<int> writes_ = 0;
};

inline CellInput input_of(Driver driver, int instances)
{
    CellInput input;
    input.cell.experiment = driver == Driver::single ? "latency" : "duplication";
    input.cell.dataset = "rootfs";
    input.cell.filesystem = "daxfs";
    input.cell.instances = instances;
    input.cell.id = input.cell.experiment + "/rootfs/daxfs/n" + std::to_string(instances);
    input.cell.driver = driver;
    input.cell.timeout_s = 5;
    input.cell.memory_mib = 1;
    input.cell.workloads = {
        json{{"id", driver == Driver::single ? "mmap-touch-seq" : "read-all"}, {"engine", "e"}}};
    input.filesystem.type = "daxfs";
    input.filesystem.medium = "pmem";
    input.filesystem.external_module = "daxfs";
    input.filesystem.image = "daxfs";
    input.data_bytes = 8192;
    return input;
}

} // namespace daxbench
