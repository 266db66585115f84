// SPDX-License-Identifier: Apache-2.0
// fio from the tools disk. The job's text comes with the workload. It is run as it stands, with every
// byte verified, and then without its verify options for the figures: fio's mean completion latency.
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>

#include <fmt/format.h>

#include "engines.hpp"
#include "io.hpp"
#include "mounts.hpp"
#include "operations.hpp"
#include "process.hpp"
#include "selection.hpp"
#include "system.hpp"
#include "tools.hpp"

namespace daxbench {

namespace {

namespace fs = std::filesystem;

constexpr double mebibyte = 1 << 20;

std::string find_loader()
{
    for (const auto &entry : fs::directory_iterator(std::string(tools_target) + "/lib"))
        if (entry.path().filename().string().starts_with("ld-linux"))
            return entry.path();
    throw std::runtime_error("expected /tools/lib/ld-linux… on the tools disk, it has none");
}

std::string replace_all(std::string text, const std::string &what, const std::string &by)
{
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

std::string job_text(const RunRequest &request)
{
    if (!request.workload.contains("job_text"))
        throw std::runtime_error("expected the fio job's text as job_text, the workload has none");
    std::string text = request.workload.at("job_text");
    text = replace_all(text, "{target}", request.target);
    if (text.find("{file}") != std::string::npos)
        text = replace_all(text, "{file}", select_files(request.target, request.workload)[0].path);
    return text;
}

// Verifying takes more time than reading; timer ticks in it would fall into some operations and not
// into others, differently in each boot.
std::string without_verifying(const std::string &text)
{
    std::string kept;
    for (const std::string &line : split(text, '\n'))
        if (!line.starts_with("verify"))
            kept += line + "\n";
    return kept;
}

std::string write_job(const char *name, const std::string &text)
{
    const std::string path = std::string("/tmp/") + name;
    fs::remove(path);
    const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT, 0600);
    write_all(fd.get(), text);
    return path;
}

json run_fio(const std::string &job)
{
    const std::string output = "/tmp/fio.json";
    fs::remove(output);
    ProcessSpec spec;
    spec.argv = {find_loader(),          "--library-path", "/tools/lib",         "/tools/bin/fio",
                 "--output-format=json", "--eta=never",    "--output=" + output, job};
    spec.env = default_env();
    spec.timeout_s = 600;
    spec.uninterrupted = true; // its main thread looks after the job every 10 ms
    const ProcessResult result = run_process(spec);
    const std::string said(trim(result.err + result.out));
    if (result.status != 0)
        throw std::runtime_error(fmt::format("expected fio to end with status 0, got {}: {}", result.status,
                                             percent_encode(said.substr(0, 400))));
    const std::string text = read_file(output);
    const auto start = text.find('{'); // notes may stand before it
    json report = json::parse(start == std::string::npos ? "" : text.substr(start), nullptr, false);
    if (!report.is_object())
        throw std::runtime_error("expected JSON from fio, got: " + percent_encode(text.substr(0, 200)));
    return report;
}

const json &only_job(const json &report)
{
    const json &job = report.at("jobs").at(0);
    if (job.at("error") != 0)
        throw std::runtime_error(
            fmt::format("expected fio without errors, its job says error {}", job.at("error").dump()));
    if (job.at("read").at("total_ios") == 0)
        throw std::runtime_error("expected fio to read, it did nothing");
    return job;
}

void warm_all(const std::string &target)
{
    RunRequest all;
    all.target = target;
    run_read_all_engine(all);
}

json measure(const RunRequest &request, const std::string &text, const std::string &cache, json &raw)
{
    const std::string verified_job = write_job("verified.fio", text);
    const std::string timed_job = write_job("timed.fio", without_verifying(text));
    const std::string per = request.workload.value("per", "op");
    const int repetitions = request.workload.value("repetitions", 3);
    const bool cold = parse_cache(cache) == Cache::cold;
    json samples = json::array();
    std::uint64_t operations = 0;
    only_job(run_fio(verified_job));
    if (!cold) {
        warm_all(request.target);
        run_fio(timed_job); // its figures are not used
    }
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        if (cold)
            drop_caches();
        settle();
        raw.push_back(run_fio(timed_job));
        const json &read = only_job(raw.back()).at("read");
        operations = read.at("total_ios");
        const double bytes = read.at("io_bytes").get<double>() / static_cast<double>(operations);
        const double mean = read.at("clat_ns").at("mean");
        samples.push_back(per == "MiB" ? mean * mebibyte / bytes : mean);
    }
    return {{"variant", ""}, {"cache", cache},     {"metric", "cost_per_op"},  {"per", per},
            {"unit", "ns"},  {"samples", samples}, {"operations", operations}, {"counters", json::object()}};
}

} // namespace

json run_fio_engine(const RunRequest &request)
{
    mount_tools(request, "ro");
    const std::string text = job_text(request);
    json results = json::array();
    json raw = json::array();
    for (const std::string cache : request.workload.value("cache", json::array({"warm"}))) {
        request.progress(fmt::format("{}/{}", request.workload.value("id", "fio"), cache));
        results.push_back(measure(request, text, cache, raw));
    }
    return {{"results", results}, {"raw", raw}};
}

} // namespace daxbench
