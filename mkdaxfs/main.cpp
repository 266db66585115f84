// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "mkdaxfs.hpp"

namespace {

std::atomic<bool> stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

void on_signal(int)
{
    stop = true;
}

}  // namespace

int main(int argc, char** argv)
{
    // With stdio below it, std::cin takes an error for the end.
    std::ios::sync_with_stdio(false);
    struct sigaction action = {};
    action.sa_handler = on_signal;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaction(signal, &action, nullptr);
    // They become errors of write(2), after which the temporary file is taken away.
    for (const int signal : {SIGXFSZ, SIGPIPE})
        std::signal(signal, SIG_IGN);
    return daxfs::mkdaxfs_main({argv + 1, argv + argc}, std::cin, std::cout, std::cerr, &stop,
                               isatty(STDERR_FILENO) == 1);
}
