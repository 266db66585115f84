// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "source.hpp"
#include "unique_fd.hpp"

namespace daxfs {

// A regular file of this machine. `stamp` is the change_stamp() it had when it was scanned, `shown` its path
// for messages. Throws when it has changed since.
std::unique_ptr<FileContent> open_disk_file(UniqueFd fd, std::uint64_t size, std::uint64_t stamp,
                                            std::function<std::string()> shown);

} // namespace daxfs
