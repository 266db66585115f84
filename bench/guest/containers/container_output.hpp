// SPDX-License-Identifier: Apache-2.0
// What a container prints, to be waited for.
#pragma once

#include <string>

#include "pipe.hpp"

namespace daxbench {

/// A pipe for its standard output and error, and /dev/null for its input.
class ContainerOutput {
public:
    ContainerOutput();

    int null() const { return null_.get(); }
    int writer() const { return pipe_.write_end.get(); }
    /// Once the container has its own.
    void close_writer() { pipe_.write_end.reset(); }

    /// Waits for something; false when it ended without.
    bool read_first();
    void read_to_end();
    /// Waits until it has printed LINE as a line of its own. Throws when it ends before, or prints nothing
    /// for TIMEOUT_S.
    void read_to_line(const std::string &line, int timeout_s);
    const std::string &text() const { return text_; }

private:
    UniqueFd null_;
    Pipe pipe_;
    std::string text_;
};

} // namespace daxbench
