// SPDX-License-Identifier: Apache-2.0
#include "start_thread.hpp"

#include <system_error>
#include <utility>

#include "error.hpp"

namespace daxfs {

std::jthread start_thread(std::function<void()> work)
{
    try {
        return std::jthread(std::move(work));
    } catch (const std::system_error &failure) {
        throw system_failure(failure.code().value(), "cannot start a thread");
    }
}

} // namespace daxfs
