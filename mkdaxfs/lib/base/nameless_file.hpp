// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "unique_fd.hpp"

namespace daxfs {

// Where temporary files go: $TMPDIR, else /var/tmp.
std::string temporary_directory();

// A file in that directory that nobody else sees and that goes with its descriptor.
UniqueFd open_nameless_file();

} // namespace daxfs
