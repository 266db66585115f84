// SPDX-License-Identifier: Apache-2.0
#include "build_driver.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cache.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;
using std::vector;

constexpr int default_repetitions = 3;
constexpr const char *drop_caches = "/proc/sys/vm/drop_caches";

/// One metric of a cell: how a sample of it comes out of a BuildSample.
struct Metric {
    const char *name;
    const char *unit;
    const char *clock;
    std::function<std::optional<double>(const BuildSample &, double files)> value;
};

const vector<Metric> &metrics()
{
    static const vector<Metric> all{
        {"build_seconds", "seconds", "host-wall",
         [](const BuildSample &sample, double) { return sample.seconds; }},
        {"build_cpu_seconds", "seconds", "host-cpu",
         [](const BuildSample &sample, double) { return sample.cpu_seconds; }},
        {"flush_seconds", "seconds", "host-wall",
         [](const BuildSample &sample, double) { return sample.flush_seconds; }},
        {"peak_memory_bytes", "bytes", "none",
         [](const BuildSample &sample, double) { return static_cast<double>(sample.peak_bytes); }},
        {"peak_memory_per_file_bytes", "bytes", "none",
         [](const BuildSample &sample, double files) {
             return static_cast<double>(sample.peak_bytes) / files;
         }},
        {"image_bytes", "bytes", "none",
         [](const BuildSample &sample, double) { return static_cast<double>(sample.image_bytes); }},
        {"check_seconds", "seconds", "host-wall",
         [](const BuildSample &sample, double) { return sample.check_seconds; }},
    };
    return all;
}

vector<double> load_average()
{
    vector<double> loads(3);
    if (getloadavg(loads.data(), 3) != 3)
        loads.clear();
    return loads;
}

/// All cells of one dataset, measured in turns.
class Builds {
public:
    Builds(const vector<Cell> &cells, std::uint64_t files, BuildHost &host)
        : cells_(cells), files_(static_cast<double>(files)), host_(host), results_(cells.size())
    {
        for (auto &result : results_)
            result.proof = {{"load_average_before", load_average()}, {"equal_images", true}};
    }

    vector<CellResult> run()
    {
        // Every cell of an experiment has the same workloads.
        for (const auto &workload : cells_.front().workloads)
            for (const auto &cache : workload.value("cache", vector<string>{"cold", "warm"}))
                measure(workload, cache);
        for (auto &result : results_)
            result.proof["load_average_after"] = load_average();
        return std::move(results_);
    }

private:
    void measure(const json &workload, const string &cache)
    {
        const int repetitions = workload.value("repetitions", default_repetitions);
        vector<vector<BuildSample>> samples(cells_.size());
        if (cache == "warm") // nobody's first run reads what nobody has read
            in_turns(0, [&](std::size_t i) { make(i, "warming up", false); });
        for (int round = 0; round < repetitions; ++round)
            in_turns(static_cast<std::size_t>(round), [&](std::size_t i) {
                if (cache == "cold")
                    results_[i].proof["cold"] = host_.make_cold();
                samples[i].push_back(
                    make(i, fmt::format("{}, {} of {}", cache, round + 1, repetitions), cache == "warm"));
            });
        for (std::size_t i = 0; i < cells_.size(); ++i)
            if (results_[i].status == "ok")
                add_rows(i, workload.at("id"), cache, samples[i]);
    }

    /// Calls `work` for each cell that has not failed, starting with another one in each round.
    template <typename Work> void in_turns(std::size_t round, Work work)
    {
        for (std::size_t turn = 0; turn < cells_.size(); ++turn) {
            const auto i = (round + turn) % cells_.size();
            if (results_[i].status != "ok")
                continue;
            const auto start = std::chrono::steady_clock::now();
            try {
                work(i);
            } catch (const Interrupted &) {
                throw;
            } catch (const std::exception &error) {
                results_[i].status = "failed";
                results_[i].error = error.what();
                results_[i].measurements.clear();
            }
            results_[i].seconds += Seconds(std::chrono::steady_clock::now() - start).count();
        }
    }

    // The image was just written, so its check finds it in the page cache: that is a row of "warm".
    BuildSample make(std::size_t i, const string &what, bool check)
    {
        host_.step(cells_[i], what);
        auto sample = host_.build(cells_[i], check);
        auto &proof = results_[i].proof;
        if (proof.contains("image_xxh3") && proof["image_xxh3"] != sample.image_xxh3)
            proof["equal_images"] = false;
        proof["image_xxh3"] = sample.image_xxh3;
        return sample;
    }

    void add_rows(std::size_t i, const string &workload, const string &cache,
                  const vector<BuildSample> &samples)
    {
        for (const auto &metric : metrics()) {
            auto row = measurement_of(cells_[i], workload, metric.name, metric.unit);
            row.clock = metric.clock;
            row.cache = cache;
            for (const auto &sample : samples)
                if (const auto value = metric.value(sample, files_))
                    row.samples.push_back(*value);
            if (!row.samples.empty())
                results_[i].measurements.push_back(std::move(row));
        }
    }

    const vector<Cell> &cells_;
    const double files_;
    BuildHost &host_;
    vector<CellResult> results_;
};

class Machine : public BuildHost {
public:
    Machine(Dataset dataset, std::map<string, ImageTool> tools, BuildHostOptions options)
        : dataset_(std::move(dataset)), tools_(std::move(tools)), options_(std::move(options)),
          dir_(options_.work_root)
    {
    }

    BuildSample build(const Cell &cell, bool check) override
    {
        const auto output = dir_.path() / "image";
        const auto &tool = tools_.at(cell.filesystem);
        fs::remove(output);
        const auto told = measured(cell, output, image_command(tool, dataset_.dir.string(), output.string()));
        BuildSample sample;
        sample.seconds = told.at("wall_ns").get<double>() / 1e9;
        sample.cpu_seconds = told.at("cpu_ns").get<double>() / 1e9;
        sample.flush_seconds = told.at("flush_ns").get<double>() / 1e9;
        sample.peak_bytes = told.at("peak_bytes");
        sample.image_bytes = fs::file_size(output);
        sample.image_xxh3 = xxh3_file(output);
        if (check && !tool.check.empty())
            sample.check_seconds =
                measured(cell, output, check_command(tool, output.string())).at("wall_ns").get<double>() /
                1e9;
        fs::remove(output);
        return sample;
    }

    string make_cold() override { return drop_from_cache(dataset_.dir); }

    void step(const Cell &cell, const string &text) override { options_.step(cell.id, text); }

private:
    /// What the program that counts tells of a command.
    json measured(const Cell &cell, const fs::path &output, const Argv &command)
    {
        const auto report = dir_.path() / "report.json";
        Argv argv{options_.measured.string(), report.string(), output.string()};
        argv.insert(argv.end(), command.begin(), command.end());
        run_checked(argv, {.timeout = Seconds(cell.timeout_s),
                           .log = options_.log_root / (file_name_of(cell.id) + ".log")});
        return json::parse(read_file(report));
    }

    const Dataset dataset_;
    const std::map<string, ImageTool> tools_;
    const BuildHostOptions options_;
    const TempDir dir_;
};

bool drop_all()
{
    const Fd fd(open(drop_caches, O_WRONLY | O_CLOEXEC));
    constexpr std::array<char, 2> all{'3', '\n'};
    return fd && write(fd.get(), all.data(), all.size()) == static_cast<ssize_t>(all.size());
}

} // namespace

vector<CellResult> run_builds(const vector<Cell> &cells, std::uint64_t files, BuildHost &host)
{
    return Builds(cells, files, host).run();
}

std::unique_ptr<BuildHost> make_build_host(Dataset dataset, std::map<string, ImageTool> tools,
                                           BuildHostOptions options)
{
    return std::make_unique<Machine>(std::move(dataset), std::move(tools), std::move(options));
}

string drop_from_cache(const fs::path &root)
{
    // Only clean pages go.
    if (const Fd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); fd)
        syncfs(fd.get());
    // The first drop only marks the names that were used since the last one, the second the inodes.
    if (drop_all() && drop_all() && drop_all())
        return "drop_caches: data, names and inodes";
    for (const auto &entry : fs::recursive_directory_iterator(root)) {
        throw_if_interrupted();
        if (!entry.is_regular_file() || entry.is_symlink())
            continue;
        if (const Fd fd(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC)); fd)
            posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
    return "posix_fadvise: data only";
}

} // namespace daxbench
