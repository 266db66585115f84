// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "fsck.hpp"
#include "standard_streams.hpp"

int main(int argc, char **argv)
{
    daxfs::hold_standard_streams();
    return daxfs::fsck_main({argv + 1, argv + argc}, std::cout, std::cerr);
}
