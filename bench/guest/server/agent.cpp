// SPDX-License-Identifier: Apache-2.0
#include "agent.hpp"

#include <cerrno>
#include <stdexcept>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernel_symbols.hpp"
#include "manifest.hpp"
#include "mounts.hpp"
#include "overwrite.hpp"
#include "process.hpp"
#include "prove.hpp"
#include "seed.hpp"
#include "settings.hpp"
#include "system.hpp"
#include "workload.hpp"

namespace daxbench {

namespace {

json describe_mount(const std::string &target)
{
    const MountInfo mount = mounted_at(target);
    return {{"source", mount.source}, {"options", mount.options}, {"type", mount.type}};
}

json mount_op(const json &args)
{
    const std::string target = args.at("target");
    const bool overlay = args.value("overlay", false);
    mount_filesystem(args.at("type"), args.value("source", "none"), args.value("options", ""),
                     overlay ? below(target) : target);
    if (overlay)
        mount_overlay(target);
    return describe_mount(target);
}

json umount_op(const json &args)
{
    unmount(args.at("target"));
    return json::object();
}

json manifest_op(const json &args)
{
    ManifestOptions options;
    options.mode = parse_manifest_mode(args.value("mode", "read"));
    return {{"lines", make_manifest(args.at("target"), options)}};
}

json exec_op(const json &args)
{
    ProcessSpec spec;
    for (const std::string text : args.at("argv"))
        spec.argv.push_back(percent_decode(text));
    spec.env = default_env();
    if (args.contains("env")) {
        spec.env.clear();
        for (const auto &[name, value] : args.at("env").items())
            spec.env.push_back(name + "=" + value.get<std::string>());
    }
    spec.chroot = args.value("chroot", "");
    spec.stdin_text = percent_decode(args.value("stdin", ""));
    spec.timeout_s = args.value("timeout_s", 60.0);
    const ProcessResult result = run_process(spec);
    if (result.timed_out)
        throw std::runtime_error(fmt::format("expected {} to end within {} s, it did not; it said: {}",
                                             spec.argv[0], spec.timeout_s,
                                             percent_encode(trim(result.err).substr(0, 200))));
    json value = {{"status", result.status},
                  {"stdout", percent_encode(result.out)},
                  {"stderr", percent_encode(result.err)}};
    if (result.signal)
        value["signal"] = result.signal;
    return value;
}

json run_nothing(const RunRequest &)
{
    return {{"results", json::array()}, {"raw", json::object()}};
}

json run_op(const json &args, const Progress &progress, const std::function<void(const std::string &)> &load,
            const std::function<void()> &mount_anew)
{
    RunRequest request;
    request.target = args.at("target");
    request.workload = args.at("workload");
    request.seed = args.value("seed", std::uint64_t{1});
    request.mark = args.value("mark", false);
    request.progress = progress;
    request.load = load;
    request.mount_anew = mount_anew;
    return run_workload(request);
}

} // namespace

json run_workload(const RunRequest &request)
{
    static const std::map<std::string, json (*)(const RunRequest &)> engines = {
        {"benchmark", run_benchmark_engine},
        {"program", run_program_engine},
        {"map-rss", run_map_rss_engine},
        {"fio", run_fio_engine},
        {"read-all", run_read_all_engine},
        {"inode-slab", run_inode_slab_engine},
        {"page-tables", run_page_tables_engine},
        {"abilities", run_abilities_engine},
        {"rest", run_nothing},
        {"frames", run_frames_engine},
        {"survive", run_survive_engine},
        {"compute", run_compute_engine},
        {"pressure", run_pressure_engine},
        {"memory-return", run_memory_return_engine},
        {"concurrent", run_concurrent_engine},
        {"calibration", run_calibration_engine},
        {"allocations", run_allocations_engine},
        {"container", run_container_engine},
        {"containers", run_containers_engine},
        {"layers", run_layers_engine}};
    const std::string name = request.workload.at("engine");
    const auto engine = engines.find(name);
    if (engine == engines.end())
        throw std::runtime_error(
            fmt::format("expected one of the engines {}, got '{}'", fmt::join(engine_names(), ", "), name));
    return engine->second(request);
}

Agent::Agent(GuestConfigFile config) : config_(std::move(config))
{
    const auto load_one = [this](const std::string &name) { load({{"modules", {name}}}); };
    const auto mount_anew = [this] { filled_ ? seed(mounted_) : mount_op(mounted_); };
    handlers_ = {
        {"load", [this](const json &args, const Progress &) { return load(args); }},
        {"mount",
         [this](const json &args, const Progress &) {
             mounted_ = args;
             filled_ = false;
             return mount_op(args);
         }},
        {"umount", [](const json &args, const Progress &) { return umount_op(args); }},
        {"seed",
         [this](const json &args, const Progress &) {
             mounted_ = args;
             filled_ = true;
             return seed(args);
         }},
        {"set",
         [](const json &args, const Progress &) {
             for (const std::string setting : args.at("settings"))
                 apply_setting(setting);
             return json::object();
         }},
        {"prove", [this](const json &args, const Progress &) { return prove_mount(args, log_); }},
        {"run",
         [load_one, mount_anew](const json &args, const Progress &progress) {
             return run_op(args, progress, load_one, mount_anew);
         }},
        {"memory", [](const json &, const Progress &) { return memory_by_kind(); }},
        {"manifest", [](const json &args, const Progress &) { return manifest_op(args); }},
        {"overwrite", [](const json &args, const Progress &) { return overwrite_shared(args); }},
        {"exec", [](const json &args, const Progress &) { return exec_op(args); }},
        {"announce", [](const json &args, const Progress &) { return announce_routines(args); }},
        {"symbols", [](const json &, const Progress &) { return kernel_symbols(); }},
        {"dmesg", [this](const json &, const Progress &) { return dmesg(); }},
        {"drop_caches",
         [](const json &, const Progress &) {
             drop_caches();
             return json::object();
         }},
        {"poweroff", [](const json &, const Progress &) { return json::object(); }},
    };
}

json Agent::handle(const std::string &op, const json &args, const Progress &progress)
{
    const auto handler = handlers_.find(op);
    if (handler == handlers_.end()) {
        std::vector<std::string> known;
        for (const auto &entry : handlers_)
            known.push_back(entry.first);
        throw std::runtime_error(
            fmt::format("expected one of the ops {}, got '{}'", fmt::join(known, ", "), op));
    }
    return handler->second(args, progress);
}

json Agent::load(const json &args)
{
    json loaded = json::array();
    for (const std::string name : args.at("modules")) {
        const auto files = config_.modules.find(name);
        if (files == config_.modules.end())
            throw std::runtime_error(
                fmt::format("expected the module {}, the initramfs was made without it: name it in the file "
                            "system's declaration",
                            name));
        load_module_files(files->second);
        loaded.push_back(name);
    }
    return {{"loaded", loaded}};
}

json Agent::seed(const json &args)
{
    const std::string source = "/run-seed";
    const std::string target = args.at("target");
    const std::string from = args.value("from", ""); // a folder of this machine; else the guest's disk
    if (from.empty())
        mount_filesystem("erofs", "seed", "ro", source);
    const bool overlay = args.value("overlay", false);
    const std::string filled = overlay ? below(target) : target;
    mount_filesystem(args.at("type"), "none", args.value("options", ""), filled);
    hold_page_cache();
    const SeedCount count = copy_tree(from.empty() ? source : from, filled);
    if (overlay)
        mount_overlay(target);
    if (from.empty())
        unmount(source); // and with it goes what was read from the disk
    drop_caches();
    json value = describe_mount(target);
    value["entries"] = count.entries;
    value["bytes"] = count.bytes;
    return value;
}

json Agent::dmesg()
{
    json lines = json::array();
    for (const KernelMessage &message : log_.take())
        lines.push_back(
            {{"level", message.level}, {"text", message.text}, {"alarming", is_alarming(message)}});
    return {{"lines", lines}};
}

json Agent::answer(const json &request, const Progress &progress)
{
    const json id = request.value("id", json());
    try {
        json value = handle(request.at("op"), request.value("args", json::object()), progress);
        return {{"id", id}, {"type", "result"}, {"value", std::move(value)}};
    } catch (const std::exception &error) {
        return {{"id", id}, {"type", "error"}, {"error", error.what()}};
    }
}

bool Agent::answer_line(int fd, const std::string &line)
{
    const json request = parse_line(line);
    const Progress progress = [&](const std::string &text) {
        write_all(fd, to_line({{"id", request.value("id", json())}, {"type", "progress"}, {"text", text}}));
    };
    write_all(fd, to_line(answer(request, progress)));
    reap_orphans();
    return request.value("op", "") != "poweroff";
}

bool Agent::serve(int fd, const std::string &script)
{
    write_all(fd, to_line(hello()));
    LineFramer framer;
    framer.feed(script);
    std::vector<char> buffer(65536);
    for (;;) {
        while (const auto line = framer.next())
            if (!answer_line(fd, *line))
                return true;
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got == 0)
            return false;
        if (got < 0 && errno != EINTR)
            throw_errno("cannot read from the host");
        if (got > 0)
            framer.feed({buffer.data(), static_cast<std::size_t>(got)});
    }
}

} // namespace daxbench
