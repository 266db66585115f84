// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace daxfs {

// SELinux labels as a file_contexts file says: a function from a path in the image and
// its mode to a label, "" for none. Throws when the file cannot be read, or when these
// tools were built without libselinux.
std::function<std::string(const std::string &path, std::uint32_t mode)>
read_file_contexts(const std::string &file);

} // namespace daxfs
