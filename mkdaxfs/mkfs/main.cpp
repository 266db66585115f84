// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>

#include <unistd.h>

#include "input.hpp"
#include "mkdaxfs.hpp"
#include "standard_streams.hpp"

namespace {

std::atomic<bool> stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

void on_signal(int)
{
    stop = true;
}

} // namespace

int main(int argc, char **argv)
{
    daxfs::hold_standard_streams();
    struct sigaction action = {};
    action.sa_handler = on_signal;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction before = {};
        sigaction(signal, nullptr, &before);
        if (before.sa_handler != SIG_IGN) // nohup(1) wants it so
            sigaction(signal, &action, nullptr);
    }
    // They become errors of write(2), after which the temporary file is taken away.
    for (const int signal : {SIGXFSZ, SIGPIPE})
        std::signal(signal, SIG_IGN);
    daxfs::InputStream in(daxfs::bytes_of(STDIN_FILENO, "standard input", &stop));
    return daxfs::mkdaxfs_main({argv + 1, argv + argc}, in, std::cout, std::cerr, &stop,
                               isatty(STDERR_FILENO) == 1, isatty(STDOUT_FILENO) == 1);
}
