// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "dump.hpp"
#include "standard_streams.hpp"

int main(int argc, char **argv)
{
    daxfs::hold_standard_streams();
    return daxfs::dump_main({argv + 1, argv + argc}, std::cout, std::cerr);
}
