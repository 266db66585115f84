// SPDX-License-Identifier: Apache-2.0
#include "guest.hpp"

#include <algorithm>
#include <deque>

#include <fcntl.h>

#include <fmt/format.h>

#include "cache.hpp"
#include "guest_channel.hpp"

namespace daxbench {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

namespace {

Deadline in(Seconds time)
{
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
}

std::string read_or_empty(const fs::path &path)
{
    return fs::exists(path) ? read_file(path) : std::string();
}

std::string without_control_characters(std::string_view line)
{
    std::string out;
    for (const char c : line)
        if (static_cast<unsigned char>(c) >= 0x20)
            out += c;
    return out;
}

} // namespace

struct Guest::State {
    GuestConfig config;
    TempDir run_dir; // outlives QEMU below
    Argv command;
    fs::path console;
    fs::path qemu_log;
    Child qemu;
    Channel agent;
    Channel monitor;
    Clock::time_point started;
    std::int64_t last_id = 0;

    // "latency/…/n1, guest 0: expected the answer to mount, but …; see LOG"
    [[noreturn]] void fail(const std::string &wanted, ChannelEvent event, Seconds timeout);
    std::string why_it_ended();
    void connect_monitor(Deadline deadline);
    json monitor_answer(Deadline deadline, const std::string &command, Seconds timeout);
};

std::string Guest::State::why_it_ended()
{
    const auto death = find_kernel_death(read_or_empty(console));
    if (!death.empty())
        return "the guest's kernel died: " + death;
    if (!qemu.wait(in(Seconds(2))))
        return "QEMU closed the connection";
    const auto said = last_lines(qemu_log, 1);
    const auto last = said.empty() ? last_lines(console, 1) : said;
    return fmt::format("QEMU ended, {}{}", describe_wait_status(qemu.wait_status()),
                       last.empty() ? "" : ": " + last[0]);
}

void Guest::State::fail(const std::string &wanted, ChannelEvent event, Seconds timeout)
{
    std::string what;
    bool died = true;
    if (event == ChannelEvent::closed)
        what = why_it_ended();
    else if (const auto death = find_kernel_death(read_or_empty(console)); !death.empty())
        what = "the guest's kernel died: " + death;
    else {
        what = fmt::format("nothing came within {:.0f} s", timeout.count());
        died = false;
    }
    const auto log = event == ChannelEvent::closed && !last_lines(qemu_log, 1).empty() ? qemu_log : console;
    const auto line = fmt::format("{}expected {}, but {}; see {}",
                                  config.name.empty() ? "" : config.name + ": ", wanted, what, log.string());
    if (died)
        throw GuestDied(line);
    throw std::runtime_error(line);
}

Guest::Guest(GuestConfig config) : state_(std::make_unique<State>())
{
    state_->config = std::move(config);
    if (state_->config.log_dir.empty())
        state_->config.log_dir = state_->run_dir.path();
    state_->config.log_dir = fs::absolute(state_->config.log_dir);
    state_->console = state_->config.log_dir / "console.log";
    state_->qemu_log = state_->config.log_dir / "qemu.log";
    state_->command = qemu_command(state_->config, state_->run_dir.path());
}

Guest::~Guest() = default;
Guest::Guest(Guest &&) noexcept = default;
Guest &Guest::operator=(Guest &&) noexcept = default;

void Guest::start()
{
    auto &state = *state_;
    fs::create_directories(state.config.log_dir);
    fs::remove(state.console);
    const Fd log(open(state.qemu_log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!log)
        throw std::runtime_error(
            fmt::format("expected to write {}, could not open it", state.qemu_log.string()));
    std::string script;
    for (std::size_t i = 0; i < state.config.script.size(); ++i)
        script += request_line(static_cast<std::int64_t>(i + 1), state.config.script[i]);
    if (!script.empty())
        write_file(state.run_dir.path() / script_file, script);
    state.started = Clock::now();
    state.qemu = Child::start(state.command, {-1, log.get(), log.get(), {}}, {}, state.config.keep);
}

json Guest::wait_hello(Seconds timeout)
{
    auto &state = *state_;
    timeout *= state.config.patience;
    const auto deadline = in(timeout);
    const auto alive = [&] { return state.qemu.running(); };
    const std::string wanted = "the agent's hello";
    if (!state.agent.connect(state.run_dir.path() / "agent.sock", deadline, alive))
        state.fail(wanted, alive() ? ChannelEvent::deadline : ChannelEvent::closed, timeout);
    qmp("cont", nullptr, timeout); // it was started stopped
    std::string line;
    if (const auto event = state.agent.receive(line, deadline); event != ChannelEvent::line)
        state.fail(wanted, event, timeout);
    auto hello = parse_line(line);
    if (hello.value("type", "") != "hello" || hello.value("protocol", 0) != protocol_version)
        throw std::runtime_error(
            fmt::format("{}: expected the agent's hello for protocol {}, got {}: build the agent anew",
                        state.config.name, protocol_version, line.substr(0, 200)));
    hello["seconds_to_hello"] = Seconds(Clock::now() - state.started).count();
    return hello;
}

json Guest::call(const std::string &op, const json &args, Seconds timeout, const Progress &progress)
{
    auto &state = *state_;
    timeout *= state.config.patience;
    const auto deadline = in(timeout);
    const auto wanted = fmt::format("the agent's answer to `{}`", op);
    const auto id = ++state.last_id;
    if (!state.agent.connected())
        throw std::logic_error("call() before wait_hello()");
    const Request request{op, args.is_null() ? json::object() : args};
    const auto &script = state.config.script;
    if (static_cast<std::size_t>(id) <= script.size()) {
        const auto &scripted = script[static_cast<std::size_t>(id) - 1];
        if (request != scripted)
            throw std::logic_error(fmt::format("{}: `{}` was called where the guest's script has `{}`",
                                               state.config.name, op, scripted.op));
    } else if (const auto event = state.agent.send(request_line(id, request), deadline);
               event != ChannelEvent::line) {
        state.fail(wanted, event, timeout);
    }
    for (;;) {
        std::string line;
        if (const auto event = state.agent.receive(line, deadline); event != ChannelEvent::line)
            state.fail(wanted, event, timeout);
        auto answer = parse_line(line);
        if (answer.value("id", std::int64_t{0}) != id)
            continue; // the late answer to a call that missed its deadline
        const auto type = answer.value("type", "");
        if (type == "progress" && progress)
            progress(answer.value("text", ""));
        else if (type == "result")
            return answer.value("value", json::object());
        else if (type == "error")
            throw AgentError(answer.value("error", "an error without a text"));
    }
}

void Guest::State::connect_monitor(Deadline deadline)
{
    if (monitor.connected())
        return;
    const auto alive = [&] { return qemu.running(); };
    std::string greeting;
    if (!monitor.connect(run_dir.path() / "qmp.sock", deadline, alive) ||
        monitor.receive(greeting, deadline) != ChannelEvent::line ||
        monitor.send("{\"execute\":\"qmp_capabilities\"}\n", deadline) != ChannelEvent::line)
        throw std::runtime_error("QMP does not answer");
    monitor_answer(deadline, "qmp_capabilities", Seconds(10));
}

json Guest::State::monitor_answer(Deadline deadline, const std::string &name, Seconds timeout)
{
    for (;;) {
        std::string line;
        if (const auto event = monitor.receive(line, deadline); event != ChannelEvent::line)
            fail(fmt::format("QMP's answer to `{}`", name), event, timeout);
        auto answer = parse_line(line);
        if (answer.contains("error"))
            throw std::runtime_error(
                fmt::format("{}: QMP `{}`: {}", config.name, name, answer["error"].value("desc", "error")));
        if (answer.contains("return"))
            return answer["return"];
        // else an event
    }
}

json Guest::qmp(const std::string &name, const json &arguments, Seconds timeout)
{
    auto &state = *state_;
    const auto deadline = in(timeout);
    state.connect_monitor(deadline);
    json request = {{"execute", name}};
    if (!arguments.is_null())
        request["arguments"] = arguments;
    if (const auto event = state.monitor.send(to_line(request), deadline); event != ChannelEvent::line)
        state.fail(fmt::format("to send `{}` to QMP", name), event, timeout);
    return state.monitor_answer(deadline, name, timeout);
}

void Guest::shutdown(Seconds timeout)
{
    auto &state = *state_;
    if (!state.qemu.running())
        return;
    const bool listens = static_cast<std::size_t>(state.last_id) >= state.config.script.size();
    if (state.agent.connected() && listens) {
        state.agent.send(request_line(++state.last_id, {"poweroff"}), in(timeout / 4));
        if (state.qemu.wait(in(timeout / 2)))
            return;
    }
    try {
        qmp("quit", nullptr, timeout / 4);
        if (state.qemu.wait(in(timeout / 4)))
            return;
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception &) {
        // It does not answer; the signal below cannot be refused.
    }
    state.qemu.kill();
}

std::string Guest::keep()
{
    auto &state = *state_;
    const auto dir = state.run_dir.release();
    const auto pid = state.qemu.pid();
    state.qemu.detach();
    return fmt::format("guest kept: pid {0}, agent {1}/agent.sock, QMP {1}/qmp.sock, console {2}; "
                       "end it with: kill {0} && rm -r {1}",
                       pid, dir.string(), state.console.string());
}

pid_t Guest::pid() const
{
    return state_->qemu.pid();
}

const Argv &Guest::command() const
{
    return state_->command;
}

const fs::path &Guest::console_log() const
{
    return state_->console;
}

const fs::path &Guest::run_dir() const
{
    return state_->run_dir.path();
}

std::vector<std::string> last_lines(const fs::path &log, std::size_t count)
{
    const auto text = read_or_empty(log);
    std::deque<std::string> lines;
    for (std::size_t from = 0; from < text.size();) {
        const auto to = std::min(text.find('\n', from), text.size());
        auto line = without_control_characters(std::string_view(text).substr(from, to - from));
        if (!line.empty())
            lines.push_back(std::move(line));
        if (lines.size() > count)
            lines.pop_front();
        from = to + 1;
    }
    return {lines.begin(), lines.end()};
}

std::string find_kernel_death(std::string_view console)
{
    // The first of these tells most; a panic follows each of the others (oops=panic).
    std::size_t best = std::string_view::npos;
    for (const std::string_view mark : {"BUG: unable to handle", "kernel BUG at",
                                        "Oops: ", "general protection fault", "KASAN: ", "Kernel panic - "})
        best = std::min(best, console.find(mark));
    if (best == std::string_view::npos)
        return {};
    return without_control_characters(console.substr(best, console.find('\n', best) - best));
}

} // namespace daxbench
