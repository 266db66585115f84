// SPDX-License-Identifier: Apache-2.0
// What a driver needs of the world: guests it can talk to, and the host's memory. An interface, so
// that drivers are tested without QEMU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "host_memory.hpp"
#include "plan.hpp"
#include "process.hpp"
#include "protocol.hpp"
#include "writable_image.hpp"

namespace daxbench {

/// One booted guest. It belongs to the thread that made it. Every call throws one line when it
/// fails: AgentError where the guest itself said so and goes on; and Interrupted on Ctrl-C.
class GuestSession {
public:
    virtual ~GuestSession() = default; ///< ends the guest, whatever state it is in
    /// The agent's first message.
    virtual const nlohmann::json &hello() const = 0;
    virtual nlohmann::json call(const std::string &op, const nlohmann::json &args, Seconds timeout) = 0;
    nlohmann::json call(const Request &request, Seconds timeout)
    {
        return call(request.op, request.args, timeout);
    }
    virtual void shutdown() = 0;
    /// What the host holds for this guest now.
    virtual HostMemory host_memory() const = 0;
    virtual const Argv &command() const = 0;
    /// What the plugin of a traced cell has written; whole once the guest has ended.
    virtual std::string profile() const = 0;
};

/// Of guests that share a writable image.
enum class GuestRole { victim, writer };

class GuestHost {
public:
    virtual ~GuestHost() = default;
    /// A copy of the cell's image, for guests of boot_on() alone.
    virtual std::unique_ptr<WritableImage> writable_image(const Cell &cell);
    /// As boot(), over such a copy. The writer has the other image, too, as its "tools".
    virtual std::unique_ptr<GuestSession> boot_on(const Cell &cell, int instance, const WritableImage &image,
                                                  GuestRole role);
    /// Boots guest number `instance` (from 0) of a cell; returns after its hello. The first calls
    /// are then those of the script (see GuestConfig).
    virtual std::unique_ptr<GuestSession> boot(const Cell &cell, int instance,
                                               const std::vector<Request> &script) = 0;
    /// Called with what a cell is doing now, from any of its threads.
    virtual void step(const Cell &cell, const std::string &text) = 0;
};

} // namespace daxbench
