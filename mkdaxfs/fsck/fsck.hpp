// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace daxfs {

// The tool fsck.daxfs. Exit status as in fsck(8): 0 clean, 4 problems (each printed on
// out), 8 the image could not be read or is of a later format, 16 wrong usage.
int fsck_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err);

} // namespace daxfs
