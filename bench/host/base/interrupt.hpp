// SPDX-License-Identifier: Apache-2.0
// Ctrl-C, and how every wait learns of it.
#pragma once

#include <stdexcept>

namespace daxbench {

// Thrown by every wait once Ctrl-C (SIGINT), SIGTERM or SIGHUP came in.
struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

// SIGINT, SIGTERM and SIGHUP set the flag and wake every wait below; another one, seconds later, ends
// the program at once (its children still die with it). Call once, early in main.
void install_signal_handlers();
bool interrupted();
void request_interrupt(); // what the handler does; for tests and for stopping other threads
void throw_if_interrupted();
int interrupt_fd(); // becomes readable, for ever, when interrupted; for poll(2)

} // namespace daxbench
