// SPDX-License-Identifier: Apache-2.0
// Where mkdaxfs writes, and what it must not overwrite there.
#pragma once

#include <memory>
#include <string>

#include "mkfs_options.hpp"
#include "output.hpp"
#include "path_filter.hpp"

namespace daxfs {

// Writing the image would change the tree it is made of.
void refuse_image_inside_source(const MkfsOptions &options, const std::string &directory,
                                const PathFilter &filter);
// The image takes the place of what has its name: it must not be something it is made of.
void refuse_image_instead_of_source(const MkfsOptions &options, const std::string &image);
// As the summary names it.
std::string target_name(const MkfsOptions &options);
std::unique_ptr<Output> open_target(const MkfsOptions &options);

} // namespace daxfs
