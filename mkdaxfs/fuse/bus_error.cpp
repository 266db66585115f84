// SPDX-License-Identifier: Apache-2.0
#include "bus_error.hpp"

#include <cerrno>

#include <setjmp.h>

namespace daxfs {

namespace {

sigjmp_buf way_out;
volatile sig_atomic_t is_guarded = 0;

void on_bus_error(int signal_number, siginfo_t *info, void *)
{
    // Sent by a kill, or none of ours.
    if (!is_guarded || info->si_code <= 0) {
        signal(signal_number, SIG_DFL);
        raise(signal_number); // comes when this returns
        return;
    }
    siglongjmp(way_out, 1);
}

} // namespace

CatchBusErrors::CatchBusErrors()
{
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_NODEFER; // the jump need not restore a mask
    sigaction(SIGBUS, &action, &before_);
}

CatchBusErrors::~CatchBusErrors()
{
    sigaction(SIGBUS, &before_, nullptr);
}

int guarded(const std::function<int()> &call)
{
    if (sigsetjmp(way_out, 0) != 0) {
        is_guarded = 0;
        return -EIO;
    }
    is_guarded = 1;
    const int result = call();
    is_guarded = 0;
    return result;
}

} // namespace daxfs
