// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include <signal.h>

namespace daxfs {

// While it lives, memory that cannot be read ends the call that guarded() runs, and not the process.
class CatchBusErrors {
public:
    CatchBusErrors();
    CatchBusErrors(const CatchBusErrors &) = delete;
    CatchBusErrors &operator=(const CatchBusErrors &) = delete;
    ~CatchBusErrors();

private:
    struct sigaction before_ = {};
};

// What the call returns, or -EIO where it met such memory. It is left in the middle then, so it must own
// nothing: only C, no object with a destructor. One thread only.
int guarded(const std::function<int()> &call);

} // namespace daxfs
