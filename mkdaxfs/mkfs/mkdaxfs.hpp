// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <iosfwd>
#include <string>
#include <vector>

namespace daxfs {

// The tool mkdaxfs. args are those of the command line without the program's name.
// Setting *stop ends it early with nothing left behind. Returns the exit status: 0
// done, 1 failed, 2 wrong usage, 3 done but for what was left out, 130 stopped.
int mkdaxfs_main(const std::vector<std::string> &args, std::istream &in, std::ostream &out, std::ostream &err,
                 const std::atomic<bool> *stop = nullptr, bool err_is_terminal = false,
                 bool out_is_terminal = false);

} // namespace daxfs
