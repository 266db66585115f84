// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "daxfs_fuse.hpp"
#include "standard_streams.hpp"

int main(int argc, char **argv)
{
    daxfs::hold_standard_streams();
    return daxfs::daxfs_fuse_main({argv + 1, argv + argc}, std::cout, std::cerr);
}
