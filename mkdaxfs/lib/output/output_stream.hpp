// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <memory>

#include "output.hpp"

namespace daxfs {

// A stream, such as a pipe, takes bytes in order only: the image waits in a nameless file, see
// open_nameless_file(), until it is complete. Nothing is written before. Bringing it to a medium is the
// affair of who reads the stream.
std::unique_ptr<Output> open_stream(std::ostream &to);

} // namespace daxfs
