// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace daxfs {

// The tool dump.daxfs. Exit status 0 done, 1 failed, 2 wrong usage.
int dump_main(const std::vector<std::string> &args, std::ostream &out, std::ostream &err);

} // namespace daxfs
