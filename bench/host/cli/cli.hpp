// SPDX-License-Identifier: Apache-2.0
// The program: an ordinary function, so that it is tested without a process.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace daxbench {

struct Streams {
    std::ostream &out;
    std::ostream &err;
    std::size_t columns = 0; ///< width of the terminal behind err; 0 where it is none
};

/// `args` without the program's name. Exit status: 0 all measured (or all well), 1 something could
/// not be measured or done (it is named), 2 usage.
int run_cli(const std::vector<std::string> &args, const Streams &streams);

} // namespace daxbench
