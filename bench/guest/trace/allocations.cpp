// SPDX-License-Identifier: Apache-2.0
#include "allocations.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io.hpp"

namespace daxbench {

namespace {

const std::string tracing = "/sys/kernel/tracing";
constexpr std::uint64_t page_bytes = 4096;

struct Event {
    std::string name;
    std::string fields;
    std::vector<std::string> stack; // the innermost first
};

/// The number after KEY, "order=" say; 0 where there is none.
std::uint64_t field(std::string_view fields, std::string_view key)
{
    const auto at = fields.find(key);
    std::uint64_t value = 0;
    if (at != std::string_view::npos)
        std::from_chars(fields.data() + at + key.size(), fields.data() + fields.size(), value);
    return value;
}

/// "kmem_cache_alloc_noprof+0x1/0x20" or "alloc_inode" → the name.
std::string function_of(std::string_view frame)
{
    return std::string(frame.substr(0, frame.find_first_of("+. \n", 1)));
}

bool starts_with_any(const std::string &name, std::initializer_list<std::string_view> starts)
{
    return std::ranges::any_of(starts, [&](std::string_view start) { return name.starts_with(start); });
}

bool is_allocator(const std::string &name)
{
    return starts_with_any(name, {"__alloc_pages",   "alloc_pages",      "__get_free_page",
                                  "get_free_page",   "get_zeroed_page",  "__folio_alloc",
                                  "folio_alloc",     "vma_alloc",        "__alloc_frozen",
                                  "alloc_frozen",    "kmem_cache_alloc", "__kmem_cache_alloc",
                                  "kmalloc",         "__kmalloc",        "___slab_alloc",
                                  "__slab_alloc",    "slab_alloc",       "allocate_slab",
                                  "new_slab",        "__kvmalloc",       "kvmalloc",
                                  "trace_",          "ftrace_",          "__traceiter",
                                  "__trace",         "stack_trace",      "filemap_alloc_folio",
                                  "pagetable_alloc", "kmemdup",          "kstrdup"});
}

bool stack_has(const Event &event, std::initializer_list<std::string_view> starts)
{
    return std::ranges::any_of(event.stack, [&](const auto &name) { return starts_with_any(name, starts); });
}

std::string caller_of(const Event &event)
{
    const auto found = std::ranges::find_if_not(event.stack, is_allocator);
    if (found != event.stack.end())
        return *found;
    if (!event.stack.empty())
        return event.stack.back();
    throw std::runtime_error(
        fmt::format("expected a stack with each allocation, {} has none: does the guest's "
                    "kernel have CONFIG_STACKTRACE?",
                    event.name));
}

void add(AllocationKind &kind, std::uint64_t bytes, const std::string &caller)
{
    ++kind.count;
    kind.bytes += bytes;
    ++kind.callers[caller];
}

void add(Allocations &to, const Event &event)
{
    const auto caller = caller_of(event);
    if (event.name != "mm_page_alloc") {
        add(to.slab, field(event.fields, "bytes_alloc="), caller);
        return;
    }
    const std::uint64_t bytes = page_bytes << field(event.fields, " order=");
    if (stack_has(event,
                  {"pte_alloc", "__pte_alloc", "__pmd_alloc", "__pud_alloc", "__p4d_alloc", "pgd_alloc"}))
        add(to.page_tables, bytes, caller);
    else if (stack_has(event, {"allocate_slab", "new_slab", "___slab_alloc"}))
        add(to.slab_pages, bytes, caller);
    else
        add(to.pages, bytes, caller);
}

/// "NAME-PID [000] .N.HP 12.345678: EVENT: FIELDS"; false where the line is none, or an interrupt's.
bool read_event(const std::string &line, Event &event)
{
    const auto cpu = line.find("] ");
    if (cpu == std::string::npos || line.size() < cpu + 8)
        return false;
    // Flags: interrupts off, wanting to be rescheduled, in an interrupt (h, s, H) or not.
    if (line[cpu + 4] != '.')
        return false;
    const auto time = line.find(": ", cpu);
    const auto end = line.find(": ", time + 2);
    if (time == std::string::npos || end == std::string::npos)
        return false;
    event.name = line.substr(time + 2, end - time - 2);
    event.fields = line.substr(end + 1);
    return true;
}

/// "# entries-in-buffer/entries-written: 12/12   #P:1"
void check_complete(const std::string &line)
{
    static const std::string key = "# entries-in-buffer/entries-written: ";
    if (!line.starts_with(key))
        return;
    const auto numbers = line.substr(key.size());
    const auto slash = numbers.find('/');
    if (numbers.substr(0, slash) != numbers.substr(slash + 1, slash))
        throw std::runtime_error(
            "expected all events of a pass in the kernel's trace buffer, some were lost (" +
            std::string(trim(numbers)) + "): give the workload a lower limit or iterations");
}

void write_trace(const std::string &name, const std::string &text)
{
    write_file(tracing + "/" + name, text);
}

bool has(const std::string &name)
{
    return ::access((tracing + "/" + name).c_str(), F_OK) == 0;
}

} // namespace

Allocations parse_allocations(std::string_view text)
{
    Allocations found;
    Event event;
    bool open = false;
    const auto close = [&] {
        if (open)
            add(found, event);
        open = false;
    };
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("#")) {
            check_complete(line);
        } else if (line.starts_with(" => ")) {
            event.stack.push_back(function_of(std::string_view(line).substr(4)));
        } else if (line.find("<stack trace>") == std::string::npos) {
            close();
            event = {};
            open = read_event(line, event);
        }
    }
    close();
    return found;
}

AllocationTracer::AllocationTracer()
{
    if (!has("tracing_on"))
        ::mount("tracefs", tracing.c_str(), "tracefs", 0, nullptr);
    if (!has("events/kmem/mm_page_alloc"))
        throw std::runtime_error(
            "expected tracefs with the events of kmem, this kernel has none: use one with "
            "CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS or another tracer");
    write_trace("tracing_on", "0");
    write_trace("buffer_size_kb", "65536");
    write_trace("set_event_pid", std::to_string(::getpid()));
    write_trace("options/stacktrace", "1");
    // The _node ones are events of their own in 6.1 only.
    for (const std::string name :
         {"mm_page_alloc", "kmalloc", "kmem_cache_alloc", "kmalloc_node", "kmem_cache_alloc_node"})
        if (has("events/kmem/" + name))
            write_trace("events/kmem/" + name + "/enable", "1");
    switch_ = open_file(tracing + "/tracing_on", O_WRONLY);
}

AllocationTracer::~AllocationTracer()
{
    try {
        write_trace("events/kmem/enable", "0");
        write_trace("options/stacktrace", "0");
        write_trace("set_event_pid", " ");
        write_trace("trace", " ");
        write_trace("buffer_size_kb", "1408"); // as at boot
    } catch (const std::exception &) {
        // The guest ends soon.
    }
}

void AllocationTracer::on(const char *state)
{
    if (::pwrite(switch_.get(), state, 1, 0) != 1)
        throw_errno("cannot switch tracing");
}

Allocations AllocationTracer::count(const std::function<void()> &work)
{
    ::close(::open((tracing + "/trace").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)); // empties it
    on("1");
    work();
    on("0");
    return parse_allocations(read_file(tracing + "/trace"));
}

} // namespace daxbench
