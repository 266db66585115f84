// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

namespace daxfs {

// A thread of its own. Throws the line to show where the system has none left.
std::jthread start_thread(std::function<void()> work);

} // namespace daxfs
