// SPDX-License-Identifier: Apache-2.0
// Where mkdaxfs writes, and what it must not overwrite there.
#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "directory_scanner.hpp"
#include "mkfs_options.hpp"
#include "output.hpp"

namespace daxfs {

// What directories must leave out: the image, where it is a file.
std::optional<OwnImage> own_image(const MkfsOptions &options);
// The image takes the place of what has its name: it must not be something it is made of.
void refuse_image_instead_of_source(const MkfsOptions &options, const std::string &image);
// As the summary names it.
std::string target_name(const MkfsOptions &options);
std::unique_ptr<Output> open_target(const MkfsOptions &options, std::ostream &standard_output);

} // namespace daxfs
