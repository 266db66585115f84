// SPDX-License-Identifier: Apache-2.0
// JSON lines over a unix socket with a deadline on everything.
#pragma once

#include <filesystem>
#include <functional>
#include <protocol.hpp>
#include <string>

#include <nlohmann/json.hpp>

#include "process.hpp"

namespace daxbench {

enum class ChannelEvent { line, closed, deadline };

class Channel {
public:
    // Connects; the listener may not be there yet, so tries until the deadline or until `alive`
    // says no. False when it could not.
    bool connect(const std::filesystem::path &socket, Deadline deadline, const std::function<bool()> &alive);
    /// A socket that is connected already.
    void adopt(Fd fd);
    bool connected() const { return static_cast<bool>(fd_); }
    // Throw Interrupted on Ctrl-C.
    ChannelEvent send(const std::string &line, Deadline deadline);
    ChannelEvent receive(std::string &line, Deadline deadline);

private:
    Fd fd_;
    LineFramer framer_;
};

int milliseconds_left(Deadline deadline); // for poll(2); 0 when it has passed

} // namespace daxbench
