// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.hpp"
#include "process.hpp"

namespace {

std::size_t terminal_columns(int fd)
{
    winsize size{};
    if (isatty(fd) == 0 || ioctl(fd, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col > 0 ? size.ws_col : 80;
}

} // namespace

int main(int argc, char **argv)
{
    daxbench::install_signal_handlers();
    return daxbench::run_cli({argv + 1, argv + argc},
                             {std::cout, std::cerr, terminal_columns(STDERR_FILENO)});
}
