// SPDX-License-Identifier: Apache-2.0
// Data that is computed with where it is mapped, by one process or several at once: what it costs to the
// first result and to the next one on the same mapping, faults, and what the data's frames are. Programs come
// from the tools device, so that they are alike whatever filesystem the data lies on.
#include <algorithm>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cold.hpp"
#include "engines.hpp"
#include "frames.hpp"
#include "io.hpp"
#include "mounts.hpp"
#include "operations.hpp"
#include "probe_table.hpp"
#include "process.hpp"
#include "safetensors.hpp"
#include "system.hpp"
#include "tools.hpp"
#include "worker.hpp"

namespace daxbench {

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::size_t huge_size = std::size_t{2} << 20;

// Where a program finds the data, inside its root.
constexpr char inside[] = "/mnt";

// A file, mapped shared, at an address that is a multiple of 2 MiB; as long as the process lives.
std::string_view map_file(const std::string &path)
{
    const UniqueFd fd = open_file(path, O_RDONLY);
    const auto size = static_cast<std::size_t>(::lseek(fd.get(), 0, SEEK_END));
    void *const room = ::mmap(nullptr, size + huge_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        throw_errno("cannot reserve addresses for " + path);
    const auto address = (reinterpret_cast<std::uintptr_t>(room) + huge_size - 1) / huge_size * huge_size;
    void *const map =
        ::mmap(reinterpret_cast<void *>(address), size, PROT_READ, MAP_SHARED | MAP_FIXED, fd.get(), 0);
    if (map == MAP_FAILED)
        throw_errno("cannot map " + path);
    return {static_cast<const char *>(map), size};
}

// The first is told to when the process is ready, so that opening and mapping are part of it.
Task lazily(std::function<Task()> make)
{
    return [make = std::move(make), task = Task()]() mutable {
        if (!task)
            task = make();
        return task();
    };
}

// A loader of weights: the header, then a word of each page of each tensor.
Task load_tensors(const std::string &path)
{
    return lazily([path]() -> Task {
        const auto file = map_file(path);
        const auto tensors = parse_safetensors(file);
        return [file, tensors] {
            std::uint64_t sum = 0;
            std::uint32_t word = 0;
            for (const Tensor &tensor : tensors)
                for (auto at = tensor.begin; at + sizeof word <= tensor.end; at += page_size) {
                    std::memcpy(&word, file.data() + at, sizeof word);
                    sum += word;
                }
            return fmt::format("{} tensors, sum {:x}", tensors.size(), sum);
        };
    });
}

// Look-ups of keys in a fixed order that looks random, half of them there.
Task probe_table(const std::string &path, std::uint64_t operations)
{
    return lazily([path, operations]() -> Task {
        const auto file = map_file(path);
        const auto *const table = reinterpret_cast<const ProbeSlot *>(file.data());
        const std::uint64_t slots = file.size() / sizeof(ProbeSlot);
        return [table, slots, operations] {
            std::uint64_t found = 0;
            std::uint64_t sum = 0;
            for (std::uint64_t i = 0; i < operations; ++i) {
                const std::uint64_t key = probe_key(probe_key(i) % slots);
                const ProbeSlot slot = table[probe_slot(table, slots, key)];
                found += slot.key == key;
                sum += slot.value;
            }
            return fmt::format("{} of {} found, sum {:x}", found, operations, sum);
        };
    });
}

struct Plan {
    std::string target;
    std::string task;
    std::string file; // of the data, its name below the target
    std::uint64_t operations = 0;
    std::vector<std::string> argv;
    std::vector<std::string> env;
    int processes = 1;
    int repetitions = 1;
    std::string expect;
};

Plan make_plan(const RunRequest &request)
{
    const json &workload = request.workload;
    Plan plan;
    plan.target = request.target;
    plan.task = workload.at("task");
    plan.file = workload.at("file");
    plan.operations = workload.value("operations", std::uint64_t{100000});
    plan.argv = workload.value("argv", std::vector<std::string>{});
    plan.env = default_env();
    if (workload.contains("env")) {
        plan.env.clear();
        for (const auto &[name, value] : workload.at("env").items())
            plan.env.push_back(name + "=" + value.get<std::string>());
    }
    plan.processes = workload.value("processes", 1);
    plan.repetitions = workload.value("repetitions", 1);
    plan.expect = workload.value("expect", "");
    if (plan.task == "program" && plan.argv.empty())
        throw std::runtime_error("expected argv, which task = \"program\" needs, got none");
    return plan;
}

Worker start_worker(const Plan &plan)
{
    const std::string path = plan.target + "/" + plan.file;
    if (plan.task == "load-tensors")
        return Worker::task([&] { return load_tensors(path); });
    if (plan.task == "probe-table")
        return Worker::task([&] { return probe_table(path, plan.operations); });
    const auto argv = c_array(plan.argv);
    const auto env = c_array(plan.env);
    return Worker::program([&] {
        if (::chroot(tools_target) == 0 && ::chdir("/") == 0)
            ::execve(argv[0], argv.data(), env.data());
    });
}

// The data, seen from inside the tools' root while it lives.
class Inside {
public:
    explicit Inside(const Plan &plan)
    {
        if (plan.task != "program")
            return;
        const std::string place = std::string(tools_target) + inside;
        if (::mount(plan.target.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) < 0)
            throw_errno("cannot bind the data to " + place);
        place_ = place;
    }
    ~Inside()
    {
        if (!place_.empty())
            ::umount2(place_.c_str(), MNT_DETACH);
    }
    Inside(const Inside &) = delete;
    Inside &operator=(const Inside &) = delete;

private:
    std::string place_;
};

struct Faults {
    double minor = 0;
    double major = 0;
};

// Of a process, from the text after its name in /proc/PID/stat, which may have blanks and brackets.
Faults faults_of(pid_t pid)
{
    const std::string text = read_file(fmt::format("/proc/{}/stat", pid));
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::vector<std::string> words;
    for (std::string word; fields >> word;)
        words.push_back(word);
    return {std::stod(words.at(7)), std::stod(words.at(9))};
}

// What is counted before and after.
struct Count {
    Faults faults;
    double page_cache = 0;
    double page_tables = 0;
};

Count count(const std::vector<Worker> &workers)
{
    Count total;
    for (const Worker &worker : workers) {
        const Faults faults = faults_of(worker.pid());
        total.faults.minor += faults.minor;
        total.faults.major += faults.major;
    }
    const json memory = memory_by_kind();
    total.page_cache = memory.at("page_cache").get<double>() + memory.at("buffers").get<double>();
    total.page_tables = memory.at("page_tables");
    return total;
}

// Samples of one variant.
struct Samples {
    json ns = json::array();
    std::map<std::string, json> extra;

    void add(const char *metric, const char *unit, double value)
    {
        auto &entry = extra[metric];
        entry["unit"] = unit;
        entry["samples"].push_back(value);
    }
};

void add_growth(const Count &before, const Count &after, int processes, Samples &samples)
{
    samples.add("minor_faults", "faults", (after.faults.minor - before.faults.minor) / processes);
    samples.add("major_faults", "faults", (after.faults.major - before.faults.major) / processes);
    samples.add("page_cache_bytes", "bytes", after.page_cache - before.page_cache);
    samples.add("page_table_bytes", "bytes", after.page_tables - before.page_tables);
}

void add_frames(const std::vector<Worker> &workers, const Plan &plan, const std::vector<PhysicalRange> &pmem,
                Samples &samples)
{
    std::vector<ProcessRange> ranges;
    for (const Worker &worker : workers)
        for (const ProcessRange &range :
             mappings_of_file(worker.pid(), read_file(fmt::format("/proc/{}/maps", worker.pid())), plan.file))
            ranges.push_back(range);
    if (ranges.empty())
        throw std::runtime_error(fmt::format("expected a process that has mapped {}, none has", plan.file));
    const Frames frames = count_frames(ranges, pmem);
    samples.add("frames_pmem_bytes", "bytes", static_cast<double>(frames.pmem));
    samples.add("frames_page_cache_bytes", "bytes", static_cast<double>(frames.page_cache));
    samples.add("frames_other_bytes", "bytes",
                static_cast<double>(frames.anonymous + frames.zero + frames.other));
}

class Measurer {
public:
    Measurer(const RunRequest &request)
        : request_(request), plan_(make_plan(request)), pmem_(pmem_ranges(request.workload)),
          expect_(plan_.expect)
    {
    }

    json run(const std::string &cache_text)
    {
        const Cache cache = parse_cache(cache_text);
        Samples first;
        Samples again;
        if (cache == Cache::warm)
            repetition(cache, nullptr, nullptr);
        for (int i = 0; i < plan_.repetitions; ++i)
            repetition(cache, &first, &again);
        return {result("first", cache_text, first), result("again", cache_text, again)};
    }

    const std::string &value() const { return expect_; }

private:
    void repetition(Cache cache, Samples *first, Samples *again)
    {
        if (cache == Cache::cold)
            make_cold(plan_.target);
        const Inside bound(plan_);
        const Uninterrupted guard; // the workers inherit it: they run one after another
        std::vector<Worker> workers;
        for (int i = 0; i < plan_.processes; ++i) {
            workers.push_back(start_worker(plan_));
            if (const auto word = workers.back().line(); word != "ready")
                throw std::runtime_error(fmt::format("expected \"ready\" from a process that computes, got "
                                                     "\"{}\"",
                                                     percent_encode(word.substr(0, 80))));
        }
        for (Samples *samples : {first, again}) {
            const Count before = count(workers);
            const double ns = compute(workers);
            if (samples == nullptr)
                continue;
            samples->ns.push_back(ns / plan_.processes);
            add_growth(before, count(workers), plan_.processes, *samples);
            if (samples == first)
                add_frames(workers, plan_, pmem_, *samples);
        }
        for (Worker &worker : workers)
            worker.finish();
    }

    double compute(std::vector<Worker> &workers)
    {
        settle();
        std::vector<std::string> values;
        const std::uint64_t start = now_ns();
        for (Worker &worker : workers)
            worker.go();
        for (Worker &worker : workers)
            values.push_back(worker.line());
        const auto ns = static_cast<double>(now_ns() - start);
        for (const std::string &value : values) {
            if (expect_.empty())
                expect_ = value;
            if (value != expect_)
                throw std::runtime_error(fmt::format("expected the result '{}', got '{}': the data is not "
                                                     "what it should be, or the program does not repeat",
                                                     expect_, percent_encode(value.substr(0, 200))));
        }
        return ns;
    }

    json result(const char *variant, const std::string &cache, const Samples &samples) const
    {
        return {{"variant", variant},
                {"cache", cache},
                {"metric", "cost_per_op"},
                {"per", "op"},
                {"unit", "ns"},
                {"samples", samples.ns},
                {"operations", plan_.processes},
                {"counters", json::object()},
                {"extra", samples.extra}};
    }

    const RunRequest &request_;
    Plan plan_;
    std::vector<PhysicalRange> pmem_;
    std::string expect_; // once known
};

} // namespace

json run_compute_engine(const RunRequest &request)
{
    const bool program = request.workload.at("task") == "program";
    if (program)
        mount_tools(request, "ro,dax=always");
    Measurer measurer(request);
    json results = json::array();
    for (const std::string cache : request.workload.value("cache", json::array({"warm"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "compute"), cache));
        for (const json &result : measurer.run(cache))
            results.push_back(result);
    }
    if (program)
        unmount(tools_target); // its metadata is no cost of the data
    return {{"results", results}, {"raw", {{"result", measurer.value()}}}};
}

} // namespace daxbench
