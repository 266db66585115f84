// SPDX-License-Identifier: Apache-2.0
// Serves the protocol's operations over any descriptor: a virtio-serial port in a guest, a socket
// in a test.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "engines.hpp"
#include "init.hpp"
#include "kernel_log.hpp"
#include "protocol.hpp"

namespace daxbench {

class Agent {
public:
    explicit Agent(GuestConfigFile config);

    /// One operation's value; throws std::runtime_error with the line the host is to show.
    json handle(const std::string &op, const json &args, const Progress &progress);

    /// Says hello, then answers the script's requests, then those from FD until it is closed (false)
    /// or "poweroff" was answered (true).
    bool serve(int fd, const std::string &script = {});

private:
    using Handler = std::function<json(const json &args, const Progress &progress)>;

    json load(const json &args);
    json seed(const json &args);
    json dmesg();
    bool answer_line(int fd, const std::string &line); // false: it was "poweroff"
    json answer(const json &request, const Progress &progress);

    GuestConfigFile config_;
    KernelLog log_;
    json mounted_ = json::object(); // what the last "mount" or "seed" was asked
    bool filled_ = false;           // it was "seed"
    std::map<std::string, Handler> handlers_;
};

} // namespace daxbench
