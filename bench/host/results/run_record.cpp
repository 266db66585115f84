// SPDX-License-Identifier: Apache-2.0
#include "run_record.hpp"

#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <sys/file.h>

#include <fmt/core.h>

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int version = 1;

} // namespace

json to_json(const RunRecord &record)
{
    json object = {{"schema_version", version},
                   {"id", record.id},
                   {"suite", record.suite},
                   {"started", record.started},
                   {"command", record.command},
                   {"folder", record.folder},
                   {"accelerator", record.accelerator},
                   {"seconds", record.seconds},
                   {"resumed", json::array()},
                   {"merged", json::array()}};
    for (const auto &one : record.resumed)
        object["resumed"].push_back({{"at", one.at}, {"kept", one.kept}});
    for (const auto &one : record.merged)
        object["merged"].push_back({{"id", one.id}, {"cells", one.cells}});
    return object;
}

RunRecord read_record(const fs::path &run_dir)
{
    const auto file = run_dir / "run.json";
    if (!fs::exists(file))
        throw std::runtime_error(
            fmt::format("expected the folder of a run, with run.json in it, got {}", run_dir.string()));
    try {
        const auto object = json::parse(read_file(file));
        if (object.at("schema_version") != version)
            throw std::runtime_error(fmt::format("schema_version is not {}", version));
        RunRecord record;
        record.id = object.at("id");
        record.suite = object.at("suite");
        record.started = object.at("started");
        record.command = object.at("command").get<std::vector<std::string>>();
        record.folder = object.at("folder");
        record.accelerator = object.at("accelerator");
        record.seconds = object.at("seconds");
        for (const auto &one : object.at("resumed"))
            record.resumed.push_back({one.at("at"), one.at("kept")});
        for (const auto &one : object.at("merged"))
            record.merged.push_back({one.at("id"), one.at("cells")});
        return record;
    } catch (const std::exception &error) {
        throw std::runtime_error(
            fmt::format("{}: expected what a run writes of itself: {}", file.string(), error.what()));
    }
}

void write_record(const fs::path &run_dir, const RunRecord &record)
{
    write_file(run_dir / "run.json", to_json(record).dump(1) + "\n");
}

RunLock::RunLock(const fs::path &run_dir) : fd_(open_or_throw(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
{
    // Some network filesystems lock no folders: there nothing is held, and nothing refused.
    if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        throw std::runtime_error(fmt::format(
            "expected {} for this bench alone, another one is measuring into it: wait for its end",
            run_dir.string()));
}

} // namespace daxbench
