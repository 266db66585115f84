// SPDX-License-Identifier: Apache-2.0
// Driver "hostile": a guest uses an image that is overwritten meanwhile; with one guest by the host, with two
// by the second guest. A copy of the image and a fresh guest for each workload. A kernel that dies is a
// result.
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <future>
#include <thread>

#include <fmt/core.h>

#include "driver.hpp"
#include "guest.hpp"
#include "mutations.hpp"

namespace daxbench {
namespace {

using nlohmann::json;
using std::string;
using std::vector;
using std::chrono::milliseconds;

string hex(const string &bytes)
{
    string text;
    for (const unsigned char byte : bytes)
        text += fmt::format("{:02x}", byte);
    return text;
}

/// Puts mutations into the image; each is taken back after a while, so that some of them, and never all, are
/// there at any time. It is the host that takes back.
class Writer {
public:
    /// `guest`: who writes; the host where there is none.
    Writer(const json &workload, WritableImage &image, GuestSession *guest, Seconds timeout)
        : kind_(mutation_kind(workload.at("mutation"))), image_(image), guest_(guest), timeout_(timeout),
          mutations_(kind_, workload.value("seed", std::uint64_t{1}), image.bytes(), image.metadata())
    {
    }

    void write_until(const std::atomic<bool> &stop)
    {
        while (!stop)
            kind_ == MutationKind::other_image ? swap(stop) : some();
    }

    std::uint64_t written() const { return written_; }

private:
    void some()
    {
        const bool pages = kind_ == MutationKind::metadata_pages;
        const std::size_t at_once = pages ? 2 : 16;
        const std::size_t alive = pages ? 32 : 512;
        json writes = json::array();
        for (std::size_t i = 0; i < at_once; ++i) {
            const auto mutation =
                mutations_.next([&](std::uint64_t at) { return image_.pristine(at, 4096); });
            live_.emplace_back(mutation.offset, mutation.bytes.size());
            if (guest_ != nullptr)
                writes.push_back({mutation.offset, hex(mutation.bytes)});
            else
                image_.write(mutation.offset, mutation.bytes);
        }
        if (guest_ != nullptr)
            guest_->call("overwrite", {{"writes", writes}}, timeout_);
        written_ += at_once;
        for (; live_.size() > alive; live_.pop_front())
            image_.write(live_.front().first, image_.pristine(live_.front().first, live_.front().second));
        std::this_thread::sleep_for(milliseconds(5));
    }

    void swap(const std::atomic<bool> &stop)
    {
        if (guest_ != nullptr)
            guest_->call("overwrite", {{"copy", true}}, timeout_);
        else
            image_.write_other();
        ++written_;
        for (int i = 0; i < 30 && !stop; ++i)
            std::this_thread::sleep_for(milliseconds(10));
        image_.restore();
        for (int i = 0; i < 30 && !stop; ++i)
            std::this_thread::sleep_for(milliseconds(10));
    }

    MutationKind kind_;
    WritableImage &image_;
    GuestSession *guest_;
    Seconds timeout_;
    Mutations mutations_;
    std::deque<std::pair<std::uint64_t, std::size_t>> live_;
    std::uint64_t written_ = 0;
};

/// A thread that writes from its construction on, once its guest is up, until stop().
class Attack {
public:
    Attack(const CellInput &input, const json &workload, GuestHost &host, WritableImage &image, int instance)
    {
        std::promise<void> ready;
        auto is_ready = ready.get_future();
        thread_ = std::jthread([&, this, ready = std::move(ready)]() mutable {
            try {
                std::unique_ptr<GuestSession> guest; // it belongs to this thread
                if (input.cell.instances > 1)
                    guest = host.boot_on(input.cell, instance, image, GuestRole::writer);
                Writer writer(workload, image, guest.get(), Seconds(input.cell.timeout_s));
                ready.set_value();
                while (!go_ && !stop_)
                    std::this_thread::sleep_for(milliseconds(1));
                writer.write_until(stop_);
                written_ = writer.written();
                if (guest)
                    guest->shutdown();
            } catch (...) {
                error_ = std::current_exception();
                try {
                    ready.set_value();
                } catch (const std::future_error &) { // it was ready before
                }
            }
        });
        is_ready.wait();
    }
    ~Attack() { stop_ = true; }
    Attack(const Attack &) = delete;
    Attack &operator=(const Attack &) = delete;

    void go() { go_ = true; }
    /// How much was written; throws what went wrong.
    std::uint64_t stop()
    {
        stop_ = true;
        if (thread_.joinable())
            thread_.join();
        if (error_)
            std::rethrow_exception(error_);
        return written_;
    }

private:
    std::atomic<bool> go_ = false;
    std::atomic<bool> stop_ = false;
    std::uint64_t written_ = 0;
    std::exception_ptr error_;
    std::jthread thread_; // last: it uses the others
};

json with_phase(json workload, const char *phase)
{
    workload["phase"] = phase;
    return workload;
}

/// How it ended: what the guest says, or why it says nothing any more.
struct Outcome {
    json answer = nullptr;
    json log = json::array();
    bool died = false;
    bool silent = false;
    string why;
    std::uint64_t mutations = 0;
};

/// Requests that a kernel in any state may leave unanswered.
template <typename Ask> void ask(Outcome &outcome, Ask request)
{
    try {
        request();
    } catch (const Interrupted &) {
        throw;
    } catch (const AgentError &error) { // it goes on
        outcome.why = error.what();
    } catch (const GuestDied &error) {
        outcome.died = true;
        outcome.why = error.what();
    } catch (const std::exception &error) {
        outcome.silent = true;
        outcome.why = error.what();
    }
}

Outcome attack(const CellInput &input, const json &workload, GuestHost &host, GuestSession &victim,
               WritableImage &image, int instance)
{
    const Seconds limit(input.cell.timeout_s);
    Outcome outcome;
    {
        Attack writing(input, workload, host, image, instance);
        writing.go();
        ask(outcome, [&] { outcome.answer = victim.call(run_request(with_phase(workload, "run")), limit); });
        outcome.mutations = writing.stop();
    }
    image.restore();
    const bool answers = !outcome.died && !outcome.silent;
    if (answers && !outcome.answer.is_object()) // the engine failed, not the kernel
        throw std::runtime_error(outcome.why);
    if (answers)
        ask(outcome, [&] { victim.call("umount", {{"target", mount_target}}, limit); });
    if (!outcome.died && !outcome.silent)
        ask(outcome, [&] { outcome.log = victim.call(log_request(), limit).value("lines", json::array()); });
    return outcome;
}

bool tells_of_a_hang(const string &line)
{
    return line.find("blocked for more than") != string::npos || line.find("stall") != string::npos;
}

class Rows {
public:
    Rows(const Cell &cell, const string &workload, vector<Measurement> &rows)
        : cell_(cell), workload_(workload), rows_(rows)
    {
    }
    void add(const string &metric, double value, const string &unit = "count")
    {
        auto row = measurement_of(cell_, workload_, metric, unit);
        row.samples = {value};
        rows_.push_back(std::move(row));
    }
    void missing(const string &metric, const string &why, const string &unit = "count")
    {
        auto row = measurement_of(cell_, workload_, metric, unit);
        row.error = why;
        rows_.push_back(std::move(row));
    }

private:
    const Cell &cell_;
    const string &workload_;
    vector<Measurement> &rows_;
};

constexpr std::pair<const char *, const char *> counted[] = {
    {"hostile_accesses", "accesses"},     {"failed_accesses", "failures"},
    {"mapping_faults", "mapping_faults"}, {"changed_reads", "changed_reads"},
    {"hostile_programs", "programs"},     {"program_failures", "program_failures"},
    {"worker_deaths", "worker_deaths"}};

void add_rows(const Outcome &outcome, Rows rows)
{
    rows.add("mutations", double(outcome.mutations));
    rows.add("kernel_deaths", outcome.died ? 1 : 0);
    const bool told = outcome.answer.is_object();
    const auto counts = told ? outcome.answer.at("counts") : json::object();
    double hangs = counts.value("hangs", 0.0) + (outcome.silent ? 1 : 0);
    double complaints = 0;
    for (const auto &line : kernel_complaints(outcome.log))
        (tells_of_a_hang(line) ? hangs : complaints) += 1;
    rows.add("hangs", hangs);
    if (outcome.died || outcome.silent)
        rows.missing("kernel_complaints", outcome.why);
    else
        rows.add("kernel_complaints", complaints);
    if (told)
        rows.add("foreign_bytes",
                 counts.at("foreign_memory").get<double>() + counts.at("foreign_region").get<double>(),
                 "bytes");
    else
        rows.missing("foreign_bytes", outcome.why, "bytes");
    for (const auto &[metric, name] : counted)
        if (told)
            rows.add(metric, counts.at(name).get<double>());
        else
            rows.missing(metric, outcome.why);
}

json raw_of(const json &workload, const json &prepared, const Outcome &outcome, const WritableImage &image)
{
    auto complaints = json::array();
    for (const auto &line : kernel_complaints(outcome.log))
        complaints.push_back(line);
    return {{"workload", workload.at("id")},
            {"seed", workload.value("seed", 1)},
            {"metadata_pages", image.metadata().size()},
            {"prepared", prepared},
            {"answer", outcome.answer},
            {"complaints", complaints},
            {"ended", outcome.died     ? "died"
                      : outcome.silent ? "silent"
                                       : "answers"},
            {"why", outcome.why}};
}

} // namespace

void run_hostile(const CellInput &input, GuestHost &host, CellResult &result)
{
    int instance = 0;
    for (const auto &workload : input.cell.workloads) {
        const auto id = workload.at("id").get<string>();
        host.step(input.cell, fmt::format("{}: booting", id));
        const auto image = host.writable_image(input.cell);
        const auto victim = host.boot_on(input.cell, instance, *image, GuestRole::victim);
        call_all(input, *victim, load_requests(input));
        const auto proof = call_all(input, *victim, mount_requests(input));
        const auto prepared =
            victim->call(run_request(with_phase(workload, "prepare")), Seconds(input.cell.timeout_s));
        if (instance == 0) {
            result.hello = victim->hello();
            result.qemu = victim->command();
            result.proof = proof;
            result.proof["checkers"] = prepared.value("checkers", json::array());
        }
        check_kernel_log(input, *victim, result.proof); // nobody has written yet
        host.step(input.cell, fmt::format("{}: overwriting", id));
        const auto outcome = attack(input, workload, host, *victim, *image, instance + 1);
        add_rows(outcome, Rows(input.cell, id, result.measurements));
        result.raw.push_back(raw_of(workload, prepared, outcome, *image));
        if (!outcome.died && !outcome.silent)
            victim->shutdown();
        instance += 2;
    }
}

} // namespace daxbench
