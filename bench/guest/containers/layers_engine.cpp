// SPDX-License-Identifier: Apache-2.0
// Images of many layers under OverlayFS. A dataset of the kind layers has a folder for each.
#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cold.hpp"
#include "container.hpp"
#include "engines.hpp"
#include "frames.hpp"
#include "image_cache.hpp"
#include "io.hpp"
#include "mapped_file.hpp"
#include "operations.hpp"
#include "selection.hpp"
#include "system.hpp"

namespace daxbench {

namespace {

class Overlay {
public:
    Overlay(const std::string &name, const std::string &lower) : folders_(name, lower) {}
    Overlay(const Overlay &) = delete;
    Overlay &operator=(const Overlay &) = delete;
    ~Overlay() { ::umount2(root().c_str(), MNT_DETACH); }

    void mount() const
    {
        if (::mount("overlay", root().c_str(), "overlay", 0, folders_.options().c_str()) < 0)
            throw_errno("cannot mount an overlay with " + folders_.options());
    }
    const std::string &root() const { return folders_.root(); }

private:
    OverlayFolders folders_;
};

std::string layer(const std::string &target, int number)
{
    return fmt::format("{}/{:03}", target, number);
}

// The topmost first.
std::string layers(const std::string &target, int count)
{
    std::vector<std::string> all;
    for (int i = count - 1; i >= 0; --i)
        all.push_back(layer(target, i));
    return fmt::format("{}", fmt::join(all, ":"));
}

// One file of each layer, in a folder that all of them have.
std::vector<std::string> common_files(const std::string &root, int count)
{
    std::vector<std::string> files;
    for (int i = 0; i < count; ++i)
        files.push_back(fmt::format("{}/common/in-{:03}", root, i));
    return files;
}

void look_at(const std::vector<std::string> &files)
{
    struct stat st {};
    for (const std::string &file : files)
        if (::lstat(file.c_str(), &st) < 0)
            throw_errno("cannot stat " + file);
}

void open_each(const std::vector<std::string> &files)
{
    for (const std::string &file : files)
        open_file(file, O_RDONLY);
}

double timed(const std::function<void()> &work)
{
    const Uninterrupted guard;
    const std::uint64_t start = now_ns();
    work();
    return static_cast<double>(now_ns() - start);
}

// One sample of OP, on an overlay that nothing has been looked up in.
double sample(const RunRequest &request, const std::string &op, int count, Cache cache)
{
    settle();
    if (cache == Cache::cold)
        make_cold(request.target);
    const Overlay overlay("layers", layers(request.target, count));
    settle();
    if (op == "mount")
        return timed([&] { overlay.mount(); });
    overlay.mount();
    const auto files = common_files(overlay.root(), count);
    if (op == "open")
        look_at(files);
    return timed([&] { op == "open" ? open_each(files) : look_at(files); }) / count;
}

json costs(const RunRequest &request, const std::string &op, int count)
{
    json results = json::array();
    for (const std::string cache : request.workload.value("cache", json::array({"warm"}))) {
        if (cache == "warm")
            sample(request, op, count, Cache::warm); // its time is not used
        json samples = json::array();
        for (int i = 0; i < request.workload.value("repetitions", 3); ++i)
            samples.push_back(sample(request, op, count, parse_cache(cache)));
        results.push_back({{"cache", cache},
                           {"metric", "cost_per_op"},
                           {"per", "op"},
                           {"unit", "ns"},
                           {"samples", samples},
                           {"operations", op == "mount" ? 1 : count}});
    }
    return results;
}

void map_tree(const std::string &root, std::vector<std::unique_ptr<MappedFile>> &files)
{
    for (const SelectedFile &entry : list_tree(root))
        if (entry.regular && entry.size > 0) {
            files.push_back(std::make_unique<MappedFile>(entry.path, entry.size));
            files.back()->touch();
        }
}

// Overlays of one layer each over the bottom one, which all of them share; everything in them is mapped.
json shared_memory(const RunRequest &request, int count)
{
    settle();
    make_cold(request.target);
    const ImageCache cache(request.target);
    const json before = memory_by_kind();
    std::vector<std::unique_ptr<Overlay>> overlays;
    std::vector<std::unique_ptr<MappedFile>> files;
    for (int i = 1; i < count; ++i) {
        overlays.push_back(std::make_unique<Overlay>(
            fmt::format("over-{}", i), layer(request.target, i) + ":" + layer(request.target, 0)));
        overlays.back()->mount();
        map_tree(overlays.back()->root(), files);
    }
    const json after = memory_by_kind();
    const Frames frames = count_frames(::getpid(), pmem_ranges(request.workload));
    const auto bytes = [](auto value) { return json{{"unit", "bytes"}, {"samples", {value}}}; };
    const auto free = [](const json &memory) {
        return memory.at("mem_free").get<std::int64_t>() + memory.at("mem_free_per_cpu").get<std::int64_t>();
    };
    const std::int64_t used = free(before) - free(after);
    return {{{"metric", "image_cache_bytes"},
             {"unit", "bytes"},
             {"samples", {cache.bytes()}},
             {"operations", files.size()},
             {"extra",
              {{"frames_pmem_bytes", bytes(frames.pmem)},
               {"frames_page_cache_bytes", bytes(frames.page_cache)},
               {"guest_memory_bytes", bytes(used)}}}}};
}

} // namespace

json run_layers_engine(const RunRequest &request)
{
    request.load("overlay");
    const std::string op = request.workload.at("op");
    const int count = request.workload.at("layers");
    request.progress(request.workload.value("id", "layers"));
    const ContainerStore store;
    return {{"results", op == "share" ? shared_memory(request, count) : costs(request, op, count)},
            {"raw", json::object()}};
}

} // namespace daxbench
