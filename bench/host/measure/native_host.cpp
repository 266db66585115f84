// SPDX-License-Identifier: Apache-2.0
#include "native_host.hpp"

#include <algorithm>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/core.h>

#include "guest_channel.hpp"

namespace daxbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::string;

constexpr Seconds hello_limit{30};

Deadline in(Seconds seconds)
{
    return std::chrono::steady_clock::now() + std::chrono::duration_cast<Deadline::duration>(seconds);
}

/// Modules that were loaded for a session, gone with it.
class LoadedModules {
public:
    LoadedModules() = default;
    LoadedModules(const LoadedModules &) = delete;
    LoadedModules &operator=(const LoadedModules &) = delete;
    ~LoadedModules()
    {
        for (auto name = names_.rbegin(); name != names_.rend(); ++name) {
            auto child = Child::start({"rmmod", *name}, {});
            const auto deadline = in(Seconds(10));
            while (child.running() && std::chrono::steady_clock::now() < deadline)
                ::poll(nullptr, 0, 20);
        }
    }

    /// `file`: of a module of this tree, or "" for one of the kernel's own.
    void load(const string &name, const fs::path &file)
    {
        if (fs::exists("/sys/module/" + name))
            return;
        run_checked(file.empty() ? Argv{"modprobe", name} : Argv{"insmod", file.string()});
        names_.push_back(name);
    }

private:
    std::vector<string> names_;
};

/// What one cell needs of the machine.
struct Place {
    fs::path agent;
    fs::path tree;                               ///< of the dataset
    fs::path image;                              ///< for the device, or ""
    std::map<string, fs::path> external_modules; ///< of this tree
    NativeOptions options;
};

class NativeSession : public GuestSession {
public:
    explicit NativeSession(Place place) : place_(std::move(place))
    {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            throw std::runtime_error("expected a pair of sockets, got none");
        const Fd theirs(ends[1]);
        channel_.adopt(Fd(ends[0]));
        command_ = {place_.agent.string(), "--fd", std::to_string(theirs.get()), "--on-host"};
        if (place_.options.drop_caches)
            command_.emplace_back("--drop-caches");
        Child::Streams streams;
        streams.err = STDERR_FILENO;
        streams.keep = {theirs.get()};
        agent_ = Child::start(command_, streams);
        string line;
        receive(line, "hello", in(hello_limit));
        hello_ = parse_line(line);
    }

    const json &hello() const override { return hello_; }

    string profile() const override
    {
        throw std::runtime_error("expected a guest that QEMU counts for, this is the machine itself: leave "
                                 "out --on host");
    }

    using GuestSession::call;
    json call(const string &op, const json &given, Seconds timeout) override
    {
        auto args = given.is_null() ? json::object() : given;
        if (op == "load")
            return load(args);
        if (op == "seed")
            args["from"] = place_.tree.string();
        if (op == "mount" && args.value("source", "") == "pmem")
            args["source"] = fill_device();
        const auto deadline = in(timeout);
        const Request request{op, args};
        if (channel_.send(request_line(++last_id_, request), deadline) != ChannelEvent::line)
            throw std::runtime_error(fmt::format("expected the agent to take `{}`, it is gone", op));
        for (;;) {
            string line;
            receive(line, fmt::format("the answer to `{}`", op), deadline);
            const auto answer = parse_line(line);
            const auto type = answer.value("type", "");
            if (type == "result")
                return answer.value("value", json::object());
            if (type == "error")
                throw AgentError(answer.value("error", "an error without a text"));
        }
    }

    void shutdown() override
    {
        call("poweroff", json::object(), hello_limit); // of the agent, not of the machine
        agent_.wait(in(hello_limit));
    }

    HostMemory host_memory() const override { return {}; }
    const Argv &command() const override { return command_; }

private:
    void receive(string &line, const string &what, Deadline deadline)
    {
        const auto event = channel_.receive(line, deadline);
        if (event == ChannelEvent::line)
            return;
        throw std::runtime_error(
            fmt::format("expected {} from the agent on this machine, {}", what,
                        event == ChannelEvent::deadline ? "its time is over" : "it has ended"));
    }

    json load(const json &args)
    {
        if (place_.options.load_modules)
            for (const string name : args.at("modules")) {
                const auto external = place_.external_modules.find(name);
                modules_.load(name, external == place_.external_modules.end() ? "" : external->second);
            }
        return json::object(); // else the mount says what it misses
    }

    /// The image onto the device; its path.
    string fill_device() const
    {
        const auto &device = place_.options.pmem;
        if (device.empty())
            throw std::runtime_error("expected a device of persistent memory for the image, this machine was "
                                     "given none: --pmem /dev/pmemN, which is overwritten");
        if (read_file("/proc/self/mounts").find(device.string() + " ") != string::npos)
            throw std::runtime_error(
                fmt::format("expected a device that nobody uses, {} is mounted", device.string()));
        run_checked(
            {"dd", "if=" + place_.image.string(), "of=" + device.string(), "bs=2M", "conv=fsync,nocreat"});
        return device.string();
    }

    const Place place_;
    LoadedModules modules_; // gone after the agent and its mounts
    Channel channel_;
    Argv command_;
    Child agent_;
    json hello_;
    std::int64_t last_id_ = 0;
};

class NativeHost : public GuestHost {
public:
    NativeHost(const World &world, const Catalogue &catalogue, Display &display)
        : world_(world), catalogue_(catalogue), display_(display)
    {
    }

    std::unique_ptr<GuestSession> boot(const Cell &cell, int, const std::vector<Request> &) override
    {
        if (cell.driver != Driver::single)
            throw std::runtime_error("expected guests for this cell, --on host has none: leave it out");
        if (needs_tools(cell))
            throw std::runtime_error("expected a guest for fio, whose files lie where guests have them: "
                                     "leave it out of --on host");
        const auto &filesystem = catalogue_.filesystems.at(cell.filesystem);
        Place place;
        place.agent = world_.paths.build / "bench/guest/agent";
        place.options = *world_.native;
        place.external_modules = world_.kernels.at("").external_modules;
        if (const auto found = world_.datasets.find(cell.dataset); found != world_.datasets.end())
            place.tree = found->second.dir;
        if (const auto found = world_.images.find({filesystem.image, cell.dataset});
            found != world_.images.end())
            place.image = found->second.path;
        return std::make_unique<NativeSession>(std::move(place));
    }

    void step(const Cell &cell, const string &text) override { display_.step(cell.id, text); }

private:
    const World &world_;
    const Catalogue &catalogue_;
    Display &display_;
};

} // namespace

std::unique_ptr<GuestHost> make_native_host(const World &world, const Catalogue &catalogue, Display &display)
{
    return std::make_unique<NativeHost>(world, catalogue, display);
}

} // namespace daxbench
