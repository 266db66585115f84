// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "dump.hpp"

int main(int argc, char** argv)
{
    return daxfs::dump_main({argv + 1, argv + argc}, std::cout, std::cerr);
}
