// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace daxfs {

// The tool mount.daxfs. args are those of the command line without the program's name. Returns the
// exit status, as mount(8) has it: 0 mounted, 1 wrong usage, 2 the system failed, 32 not mounted.
int mount_daxfs_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err);

} // namespace daxfs
