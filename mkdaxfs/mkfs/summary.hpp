// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>

#include "build_image.hpp"
#include "mkfs_options.hpp"

namespace daxfs {

// What was made, as the options want it told.
void report(const MkfsOptions &options, const std::string &image, const BuildSummary &summary, double seconds,
            std::ostream &out);

} // namespace daxfs
