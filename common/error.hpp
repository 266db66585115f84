// SPDX-License-Identifier: Apache-2.0
// Failures are exceptions whose text is the one line the user reads.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace daxfs {

// The user (or a signal) asked to stop.
struct Interrupted : std::runtime_error {
    explicit Interrupted(const std::string &what_is_left = "nothing was written")
        : std::runtime_error("interrupted, " + what_is_left)
    {
    }
};

// A path as part of one line, or of JSON: control characters, backslashes and bytes that are no
// UTF-8 become \xNN, so it is as different as the bytes were.
std::string printable(std::string_view bytes);

bool is_utf8(std::string_view bytes);

// "WHAT: strerror(code)", to be thrown.
std::runtime_error system_failure(int code, std::string_view what);

} // namespace daxfs
